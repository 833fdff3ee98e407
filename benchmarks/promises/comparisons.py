"""Promises of an evaluation: where no model differs, a family of comparisons shows a difference in 1 study of 20.

The models of a study rank equally well: one network's log-odds, to which each adds noise of its own.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.evaluate.evaluated_models import ENSEMBLE
from medray.evaluate.measure_models import compare_ensemble
from medray.evaluate.scores_document import EnsembleComparison
from medray.stats.bootstrap import bootstrap, resample_counts
from medray.stats.compare import BETTER, NOT_TESTED, SIGNIFICANCE, WORSE, verdict

from .answers import AnsweredPatients
from .judging import twice_error
from .population import WITHIN_PATIENT, Condition, Population
from .table import KIND, Section

OTHERS = 8  # models beside the ensemble, by AUC and by accuracy: 16 comparisons
NOISE = 0.5  # its standard deviation, in that of the log-odds
RESAMPLES = 2  # only the bootstrap's p rests on them, which decides neither AUC nor accuracy


@dataclass(frozen=True)
class NullStudy:
    """How many comparisons were tested, and whether the family, or the one named beforehand, was wrong."""

    tested: int
    family: bool
    alone: bool


def conditions(quick: bool) -> list[Condition]:
    """Return the kinds of test splits."""
    aucs, shares = ((0.92,), (0.3,)) if quick else ((0.97, 0.79), (0.1, 0.5))
    return [Condition(*values) for values in itertools.product(aucs, (100, 300), shares, (1, 5))]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of test splits, and the table at the end."""
    kinds, count = conditions(quick), studies or (200 if quick else 300)
    section = Section([*KIND, "tested of 16", "family wrong", "one alone wrong"])
    everything: list[NullStudy] = []
    for index, condition in enumerate(kinds):
        rng = np.random.default_rng([seed, 2, index])
        patients = AnsweredPatients.of(population, condition, rng)
        results = [compare_equals(patients, condition, rng) for _ in range(count)]
        everything += results
        tested = np.mean([result.tested for result in results])
        section.rows.append(
            [*condition.cells, f"{tested:.1f}", *(f"{share.mean():.3f}" for share in wrong(results))]
        )
        section.broken += judge(" ".join(condition.cells), results)
        yield f"{index + 1} of {len(kinds)} kinds of comparisons"
    family, alone = wrong(everything)
    section.broken += judge("all kinds", everything)
    section.notes = [
        f"{count} studies of each kind. Of all of them together the family is wrong in {family.mean():.1%} ± "
        f"{twice_error(family):.1%}, the one alone in {alone.mean():.1%} ± {twice_error(alone):.1%}."
    ]
    yield section


def compare_equals(patients: AnsweredPatients, condition: Condition, rng: np.random.Generator) -> NullStudy:
    """Compare an ensemble with models that rank as well as it does, on one test split, as an evaluation does."""
    split = patients.draw(condition.images, rng)
    spread = float(patients.logits.std()) * NOISE
    models = {}
    for name in [ENSEMBLE, *(f"model {number}" for number in range(OTHERS))]:
        shared = rng.normal(size=(len(split.labels), 1)) * WITHIN_PATIENT**0.5
        alone = rng.normal(size=split.logits.shape) * (1 - WITHIN_PATIENT) ** 0.5
        models[name] = AnsweredPatients(split.logits + spread * (shared + alone), split.labels).predictions
    groups, images = split.groups, split.logits.size
    draws = bootstrap(models, resample_counts(images, RESAMPLES, 0, groups))
    comparisons = compare_ensemble(models, draws, ("auc", "accuracy"), groups, None)
    return NullStudy(
        sum(comparison.verdict != NOT_TESTED for comparison in comparisons),
        any(shows_difference(comparison, comparison.adjusted_p) for comparison in comparisons),
        shows_difference(comparisons[0], comparisons[0].p),
    )


def shows_difference(comparison: EnsembleComparison, p: float | None) -> bool:
    """Return whether the comparison says that the models differ, by this p."""
    return verdict(comparison, p) in (BETTER, WORSE)


def wrong(results: list[NullStudy]) -> tuple[Array, Array]:
    """Return whether the family, and the one named beforehand, was wrong in each study, bool (studies,)."""
    return np.array([result.family for result in results]), np.array([result.alone for result in results])


def judge(name: str, results: list[NullStudy]) -> list[str]:
    """Return a line for the family, and for the one alone, where it is wrong more often than promised."""
    return [
        f"{name}: {kind} wrong in {shares.mean():.3f} ± {twice_error(shares):.3f}"
        for kind, shares in zip(("family", "one alone"), wrong(results), strict=True)
        if shares.mean() - twice_error(shares) > SIGNIFICANCE
    ]
