"""Promises about ordered grades: sensitivities of cuts, sets, and the intervals of the scores that grades have.

A network answers a patient's position on the scale: the true grade and noise, part of which all images of the
patient share. As networks are, it is too sure of the grade next to that position.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medray._types import Array
from medray.decisions.conformal import calibrate, summarize_sets
from medray.decisions.promises import CALIBRATION
from medray.decisions.thresholds import Rule, set_point
from medray.evaluate.cut_scores import CutScores
from medray.stats.bootstrap import Estimate
from medray.stats.score_intervals import score_interval
from medray.stats.scores import Predictions
from medray.tasks import ORDERED

from .intervals import Intervals, cell, judge, side_of
from .judging import FEWEST, twice_error, within
from .population import Population
from .table import Section

TARGETS = (0.9, 0.95)  # of sensitivities and of coverages
SCORES = {"quadratic_kappa": "kappa", "within_one": "within 1 grade", "grade_error": "error in grades"}
CUT = "AUC of the cut"
COLUMNS = (
    "grades", "images", "noise", "of each patient", "kappa there", "sens. 0.9", "sens. 0.95", "sets 0.9 (size)",
    "sets 0.95 (size)", *SCORES.values(), CUT,
)  # fmt: skip
NEW, EVERY = 4000, 200_000  # images that a study's decisions are asked about, and that tell the truth
SHARED = 0.5  # share of the noise's variance that all images of a patient have in common
SURE = 2.0  # times as sure as the noise allows


@dataclass(frozen=True)
class GradedCondition:
    """The kind of study: grades, images of the calibration and of the test split, noise in grades, patients.

    The lowest of three grades or more has as many images as all others together, as screening has.
    """

    grades: int
    images: int
    noise: float
    per_patient: int

    @property
    def cells(self) -> list[str]:
        """The first four cells of a table's row."""
        return [str(self.grades), str(self.images), f"{self.noise:g}", str(self.per_patient)]

    @property
    def names(self) -> tuple[str, ...]:
        """The grades' names."""
        return tuple(map(str, range(self.grades)))

    @property
    def cut(self) -> str:
        """The grade that is called with all above it: the middle one."""
        return str(self.grades // 2)

    def draw(self, images: int, rng: np.random.Generator) -> tuple[Predictions, Array | None]:
        """Return a network's answers to about so many images, and their patients where these have several."""
        patients = images // self.per_patient
        shares = np.r_[0.5, np.full(self.grades - 1, 0.5 / (self.grades - 1))]
        labels = np.repeat(rng.choice(self.grades, patients, p=shares), self.per_patient)
        groups = np.repeat(np.arange(patients), self.per_patient)
        shared = SHARED**0.5 * rng.normal(size=patients)[groups]
        seen = labels + self.noise * (shared + (1 - SHARED) ** 0.5 * rng.normal(size=len(labels)))
        logits = -SURE * (seen[:, None] - np.arange(self.grades)) ** 2 / (2 * self.noise**2)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        table = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        return Predictions(table, labels.astype(np.int64), self.grades), None if self.per_patient == 1 else groups


@dataclass(frozen=True)
class Result:
    """What was true of the decisions of one study on new images, and the figures of its test split."""

    promised: dict[float, bool]
    sensitivity: dict[float, float]
    covered: dict[float, float]
    size: dict[float, float]
    figures: dict[str, Estimate]


@dataclass(frozen=True)
class Kind:
    """All studies of a kind, and the truth of its figures."""

    condition: GradedCondition
    results: list[Result]
    truth: dict[str, Estimate]

    @cached_property
    def intervals(self) -> dict[str, Intervals]:
        """Where the interval of each figure lies in each study."""
        return {
            name: Intervals(
                np.array([side_of(result.figures[name], true.value) for result in self.results]),
                np.array([result.figures[name].value for result in self.results], dtype=np.float64),
            )
            for name, true in self.truth.items()
        }


def conditions(quick: bool) -> list[GradedCondition]:
    """Return the kinds of studies."""
    if quick:
        return [GradedCondition(*values) for values in ((5, 100, 1.0, 1), (5, 400, 0.7, 4), (3, 100, 0.4, 1))]
    return [GradedCondition(*v) for v in itertools.product((3, 5), (100, 400), (0.4, 0.7, 1.0), (1, 4))]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of studies, and the table at the end; no population is needed."""
    kinds, count, section = conditions(quick), studies or (200 if quick else 1000), Section(COLUMNS)
    for index, condition in enumerate(kinds):
        kind = measure_condition(condition, count, np.random.default_rng([seed, 5, index]))
        section.rows.append(row_of(kind))
        section.broken += [f"{' '.join(condition.cells)}: {line}" for line in broken_promises(kind)]
        yield f"{index + 1} of {len(kinds)} kinds of studies"
    section.notes.append(f"{count} studies of each kind.")
    yield section


def measure_condition(condition: GradedCondition, studies: int, rng: np.random.Generator) -> Kind:
    """Run so many studies of a kind, and find the truth on very many images."""
    every, _ = condition.draw(EVERY, rng)
    scores = every.scores()
    truth = {name: Estimate(scores[name], None, None) for name in SCORES}
    truth[CUT] = Estimate(cut_scores(condition, every, None).value, None, None)
    return Kind(condition, [measure_study(condition, rng) for _ in range(studies)], truth)


def measure_study(condition: GradedCondition, rng: np.random.Generator) -> Result:
    """Set points and sets on a calibration split, ask them about new images, and measure a test split."""
    kept, groups = condition.draw(condition.images, rng)
    new, _ = condition.draw(NEW, rng)
    result = Result({}, {}, {}, {}, {})
    for target in TARGETS:
        point = set_point(
            Rule("sensitivity", target), kept.probabilities, kept.labels, condition.names, condition.cut,
            CALIBRATION, groups, cut=True,
        )  # fmt: skip
        result.promised[target] = point.promised is not None
        called, having = point.decide(new.probabilities), point.event.of(new.labels)
        result.sensitivity[target] = float(called[having].mean())
        method = ORDERED.set_method(condition.grades)
        sets = calibrate(kept.probabilities, kept.labels, target, method, set_on=CALIBRATION, groups=groups)
        summary = summarize_sets(sets.sets(new.probabilities), new.labels)
        result.covered[target], result.size[target] = summary.covered.value or 0.0, summary.mean_size
    test, patients = condition.draw(condition.images, rng)
    result.figures.update({name: score_interval(name, test, patients) for name in SCORES})
    result.figures[CUT] = cut_scores(condition, test, patients)
    return result


def cut_scores(condition: GradedCondition, predictions: Predictions, groups: Array | None) -> Estimate:
    """Return the AUC of the condition's cut."""
    (event,) = [e for e in ORDERED.events(condition.names) if e.class_index == int(condition.cut)]
    return CutScores.of(event, predictions, groups).auc


def row_of(kind: Kind) -> list[str]:
    """Return the cells of a kind's row; a sensitivity is that of the studies that promise it, where any does."""
    cells = [*kind.condition.cells, f"{kind.truth['quadratic_kappa'].value:.3f}"]
    cells += [f"{sensitivities(kind, target).mean():.3f}" for target in TARGETS]
    for target in TARGETS:
        covered, sizes = ([getattr(r, part)[target] for r in kind.results] for part in ("covered", "size"))
        cells.append(f"{np.mean(covered):.3f} ({np.mean(sizes):.2f})")
    return [*cells, *(cell(intervals) for intervals in kind.intervals.values())]


def sensitivities(kind: Kind, target: float) -> Array:
    """Return the true sensitivities of the studies that promise one, or of all where none does."""
    promised = [result for result in kind.results if result.promised[target]]
    return np.array([result.sensitivity[target] for result in promised or kind.results])


def broken_promises(kind: Kind) -> list[str]:
    """Return a line for each promise that the studies of a kind have broken."""
    lines = []
    for target in TARGETS:
        true = sensitivities(kind, target)
        promised = sum(result.promised[target] for result in kind.results)
        if promised >= FEWEST and not within(true, target, 1.0):
            lines.append(f"sensitivity {target} is {true.mean():.3f} ± {twice_error(true):.3f}")
        covered = np.array([result.covered[target] for result in kind.results])
        if not within(covered, target - 0.01, 1.0):
            lines.append(f"coverage {target} is {covered.mean():.3f} ± {twice_error(covered):.3f}")
    return lines + [f"{name}: {line}" for name, intervals in kind.intervals.items() for line in judge(intervals)]
