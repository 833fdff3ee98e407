"""Promises of an evaluation of several labels an image: 95 % intervals hold the truth in 93 of 100 studies."""

import itertools
from collections.abc import Iterator

import numpy as np

from medray.stats.bootstrap import Estimate
from medray.stats.label_set_intervals import label_set_interval

from .intervals import Intervals, cell, judge, side_of
from .label_world import COLUMNS, LabelCondition
from .population import Population
from .table import Section

SCORES = {
    "auc": "AUC", "auc_micro": "AUC micro", "average_precision": "average precision", "f1_macro": "F1",
    "f1_micro": "F1 micro", "exact_match": "exact match", "log_loss": "log loss", "brier": "Brier",
}  # fmt: skip
EVERY = 200_000  # images that tell the truth


def conditions(quick: bool) -> list[LabelCondition]:
    """Return the kinds of test splits: common labels and rare ones, which go together or not."""
    if quick:
        return [LabelCondition(4, 300, *values) for values in ((90, 0.7, 1), (18, 0.0, 3), (18, 0.7, 1, 0.3))]
    splits = ((300, 90, 0.0), (300, 18, 0.0), (1500, 18, 0.0), (300, 60, 0.3))
    drawn = itertools.product(splits, (0.0, 0.7), (1, 3))
    return [
        LabelCondition(4, images, cases, together, each, hidden)
        for (images, cases, hidden), together, each in drawn
    ]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of test splits, and the table at the end; nothing else is drawn."""
    kinds, count, section = conditions(quick), studies or 200, Section([*COLUMNS, *SCORES.values()])
    for index, condition in enumerate(kinds):
        measured = measure_condition(condition, count, np.random.default_rng([seed, 6, index]))
        section.rows.append([*condition.cells, *(cell(measured[name]) for name in SCORES)])
        for name, title in SCORES.items():
            kind = f"{title} at {' '.join(condition.cells)}"
            section.broken += [f"{kind}: {line}" for line in judge(measured[name])]
        yield f"{index + 1} of {len(kinds)} kinds of test splits"
    section.notes.append(f"{count} test splits of each kind.")
    yield section


def measure_condition(condition: LabelCondition, studies: int, rng: np.random.Generator) -> dict[str, Intervals]:
    """Return the intervals of each of `SCORES` on so many test splits, beside the score of very many images."""
    truth = condition.draw(EVERY, rng)[0].scores()
    measured: list[dict[str, Estimate]] = []
    for _ in range(studies):
        predictions, groups = condition.draw(condition.images, rng)
        measured.append({name: label_set_interval(name, predictions, groups) for name in SCORES})
    return {
        name: Intervals(
            np.array([side_of(figures[name], truth[name]) for figures in measured]),
            np.array([figures[name].value for figures in measured], dtype=np.float64),
        )
        for name in SCORES
    }
