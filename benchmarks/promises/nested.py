"""Whether a nested cross-validation tells what its procedure is worth, beside what a search says of itself.

Inside each outer fold a search trains its networks and averages the best; that ensemble is measured on what the
fold holds out, and then on new images.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medray.crossval.nested.plan_nested import dataset_inside
from medray.data.dataset import ImageDataset
from medray.data.folds import divide_pool
from medray.ensemble.selection import make_selection
from medray.ensemble.strategies import top_k
from medray.errors import DataError
from medray.runs.selection_facts import TOP_K
from medray.stats.metrics import roc_auc

from .early_stopping import signed
from .judging import FEWEST, twice_error
from .population import Condition, Images, Population
from .studies import FOLD_COUNT, NEW, combine, search
from .table import KIND, Section

MEMBERS, VAL = 4, 0.2  # of an ensemble; share of the images that are its search's val split


@dataclass(frozen=True)
class NestedStudy:
    """Mean AUC over the outer folds of their ensembles: held out, on val, which selected them, and on new."""

    held_out: float
    on_val: float
    new: float


def conditions(quick: bool) -> list[Condition]:
    """Return the kinds of studies."""
    if quick:
        return [Condition(0.92, 400, 0.3, 1), Condition(0.79, 400, 0.3, 5)]
    return [
        Condition(*values) for values in itertools.product((0.97, 0.92, 0.79), (150, 400, 1500), (0.3,), (1, 5))
    ]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of studies, and the table at the end."""
    kinds, count = conditions(quick), studies or 40
    section = Section([*KIND, "studies", "AUC on new", "nested", "nested less new", "on val less new"])
    everything: list[float] = []
    for index, condition in enumerate(kinds):
        drawn = (
            measure_study(population, condition, np.random.default_rng([seed, 4, index, number]))
            for number in range(count)
        )
        results = [result for result in drawn if result is not None]
        yield f"{index + 1} of {len(kinds)} kinds of nested cross-validations"
        if len(results) < FEWEST:
            continue
        new, held_out, on_val = (
            np.array([getattr(result, name) for result in results]) for name in ("new", "held_out", "on_val")
        )
        means = [f"{new.mean():.3f}", f"{held_out.mean():.3f}"]
        section.rows.append(
            [*condition.cells, str(len(results)), *means, signed(held_out - new), signed(on_val - new)]
        )
        everything += (held_out - new).tolist()
        if abs((held_out - new).mean()) > 1.5 * twice_error(held_out - new):
            section.broken.append(f"{' '.join(condition.cells)}: biased by {signed(held_out - new)}")
    bias = np.array(everything)
    if len(bias) and abs(bias.mean()) > twice_error(bias):
        section.broken.append(f"all kinds: biased by {signed(bias)}")
    section.notes.append(
        f"{count} studies of each kind; ± is twice the standard error. All together {signed(bias)}."
    )
    yield section


def measure_study(population: Population, condition: Condition, rng: np.random.Generator) -> NestedStudy | None:
    """Run the searches of one study's outer folds; None where a class has too few images to be divided."""
    pool = population.draw(condition, condition.images, rng, condition.per_patient)
    new = population.draw(condition, NEW // 4, rng, 1)
    rows = np.arange(len(pool.labels))
    dataset = ImageDataset(
        np.zeros((len(rows), 1, 1, 1), dtype=np.uint8), pool.labels, ("other", "case"), {"train": rows}, "drawn",
        groups=pool.patients.astype(str) if condition.per_patient > 1 else None,
    )  # fmt: skip
    try:
        scores = [
            measure_fold(pool, dataset_inside(dataset, fold, pool.patients, VAL), fold.val, new, rng)
            for fold in divide_pool(dataset, FOLD_COUNT, 0).folds
        ]
    except (ValueError, DataError):
        return None
    return NestedStudy(*np.mean(scores, axis=0).tolist())


def measure_fold(
    pool: Images, inside: ImageDataset, held_out: np.ndarray, new: Images, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the AUC of the ensemble of one search, held out, on val and on new images."""
    networks, candidates = search(pool, inside.splits["train"], inside.splits["val"], rng)
    selection = make_selection(TOP_K, candidates, top_k(candidates.candidates, candidates.labels, "auc", MEMBERS))
    keys = [member.key for member, _ in selection.members]

    def auc(images: Images) -> float:
        answers = combine(selection, {key: networks[key].predict(images.features) for key in keys})
        return roc_auc(answers[:, 1], images.labels == 1)

    return auc(pool.at(held_out)), auc(pool.at(inside.splits["val"])), auc(new)
