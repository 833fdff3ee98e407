"""Promises of an evaluation: 95 % intervals on the test split hold the truth in 93 to 98 of 100 studies.

The intervals are those that `medray evaluate` prints. A study is a test split of answers whose truth is known.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.decisions.promises import CALIBRATION
from medray.decisions.thresholds import OperatingPoint, Rule, set_point
from medray.evaluate.scores_document import PointOnTest
from medray.stats.bootstrap import Estimate
from medray.stats.rates import Proportion
from medray.stats.score_intervals import score_interval
from medray.stats.scores import Predictions
from medray.text import plural

from .answers import AnsweredPatients
from .judging import FEWEST, twice_error
from .population import Condition, Population
from .table import KIND, Section

LEAST, MOST = 0.93, 0.98  # of a 95 % interval's coverage
TAIL = 0.025  # of the intervals may lie above the truth, and as many below it
SENSITIVITY = 0.9  # of the operating point
NAMES = ("other", "case")
FIGURES = {
    "sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV", "accuracy": "accuracy",
    "auc": "AUC",
}  # fmt: skip
NONE, EMPTY, ABOVE, BELOW, HOLDS = range(5)  # what an interval is, and where it lies


@dataclass(frozen=True)
class Intervals:
    """Where a figure's interval lies in each study, int64 (studies,), and its value, float64 (studies,) or NaN."""

    sides: Array
    values: Array

    @property
    def printed(self) -> Array:
        """Where those intervals lie that there are, int64 (n,)."""
        printed: Array = self.sides[self.sides != NONE]
        return printed

    @property
    def holds(self) -> Array:
        """Whether each interval that there is holds the truth, bool (n,)."""
        holds: Array = self.printed == HOLDS
        return holds


def conditions(quick: bool) -> list[Condition]:
    """Return the kinds of test splits."""
    aucs, shares = ((0.97, 0.79), (0.1, 0.5)) if quick else ((0.97, 0.92, 0.79), (0.1, 0.3, 0.5))
    return [Condition(*values) for values in itertools.product(aucs, (100, 300), shares, (1, 5))]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of test splits, and the table at the end."""
    kinds, count = conditions(quick), studies or (500 if quick else 2000)
    section = Section([*KIND, *FIGURES.values()])
    wide: dict[str, list[float]] = {}
    for index, condition in enumerate(kinds):
        measured = measure_condition(population, condition, count, np.random.default_rng([seed, 1, index]))
        section.rows.append([*condition.cells, *(cell(measured[name]) for name in FIGURES)])
        for name, title in FIGURES.items():
            kind = f"{title} at {' '.join(condition.cells)}"
            section.broken += [f"{kind}: {line}" for line in judge(measured[name])]
            holds = measured[name].holds
            if len(holds) and holds.mean() > MOST + 2 * (MOST * (1 - MOST) / len(holds)) ** 0.5:
                wide.setdefault(title, []).append(float(holds.mean()))
        yield f"{index + 1} of {len(kinds)} kinds of test splits"
    wider = [
        f"{title} in {plural(len(values), 'kind')} (up to {max(values):.3f})" for title, values in wide.items()
    ]
    section.notes = [
        f"{count} test splits of each kind.",
        f"Above {MOST} beyond twice its standard error: {', '.join(wider) or 'none'}.",
    ]
    yield section


def measure_condition(
    population: Population, condition: Condition, studies: int, rng: np.random.Generator
) -> dict[str, Intervals]:
    """Return the intervals of each of `FIGURES` on so many test splits of one network's answers."""
    patients = AnsweredPatients.of(population, condition, rng)
    every = patients.predictions
    point = set_point(
        Rule("sensitivity", SENSITIVITY), every.probabilities, every.labels, NAMES, NAMES[1], CALIBRATION
    )
    truth = measure(point, every, None)
    splits = (patients.draw(condition.images, rng) for _ in range(studies))
    measured = [measure(point, split.predictions, split.groups) for split in splits]
    return {
        name: Intervals(
            np.array([side_of(figures[name], true.value) for figures in measured]),
            np.array([figures[name].value for figures in measured], dtype=np.float64),
        )
        for name, true in truth.items()
    }


def measure(
    point: OperatingPoint, predictions: Predictions, groups: Array | None
) -> dict[str, Estimate | Proportion]:
    """Return the figures that `medray evaluate` prints of these answers, by patient `groups` (N,) where known."""
    rates = PointOnTest.of(point, predictions, groups).test
    scores = {name: score_interval(name, predictions, groups) for name in ("accuracy", "auc")}
    return {name: scores[name] if name in scores else getattr(rates, name) for name in FIGURES}


def side_of(figure: Estimate | Proportion, truth: float | None) -> int:
    """Return whether the figure's interval is missing or empty, or lies above or below the truth, or holds it."""
    if figure.low is None or figure.high is None or truth is None:
        return NONE
    if figure.low == figure.high:
        return EMPTY
    return ABOVE if figure.low > truth else BELOW if figure.high < truth else HOLDS


def cell(intervals: Intervals) -> str:
    """Return the coverage, the percentages that lie above and below the truth, and how many studies have any."""
    printed = intervals.printed
    if len(printed) < FEWEST:
        return "no interval"
    above, below = ((printed == side).mean() * 100 for side in (ABOVE, BELOW))
    share = round(100 * len(printed) / len(intervals.sides))
    return f"{intervals.holds.mean():.3f} ({above:.1f} + {below:.1f}{f', of {share} %' if share < 100 else ''})"


def judge(intervals: Intervals) -> list[str]:
    """Return how the intervals break their promise.

    An interval is empty; coverage is below `LEAST`; or all misses lie on one side and are more than `TAIL`. Where
    a value of 1 is more frequent than `TAIL`, its interval must hold the truth, so that none can lie above it.
    """
    printed, holds = intervals.printed, intervals.holds
    values = intervals.values[intervals.sides != NONE]
    empty = int((printed == EMPTY).sum())
    lines = [plural(empty, "empty interval")] if empty else []
    if len(printed) < FEWEST:
        return lines
    if holds.mean() + twice_error(holds) < LEAST:
        lines.append(f"coverage is {holds.mean():.3f} ± {twice_error(holds):.3f}")
    for side, other, extreme, word in ((ABOVE, BELOW, 0.0, "above"), (BELOW, ABOVE, 1.0, "below")):
        misses = printed == side
        avoidable = (values == extreme).mean() <= TAIL
        if avoidable and not (printed == other).any() and misses.mean() - twice_error(misses) > TAIL:
            lines.append(f"all misses, {misses.mean():.1%} of intervals, lie {word} the truth")
    return lines
