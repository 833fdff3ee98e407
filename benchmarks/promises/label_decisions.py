"""Promises about each of several labels: sensitivities, and sets of images with the label and of those without.

A label with too few images promises no sensitivity, and its sets leave no answer out; so figures are of the labels
that promise, and a share says how many do.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from medray._types import Array
from medray.decisions.conformal import calibrate_label
from medray.decisions.promises import CALIBRATION
from medray.decisions.thresholds import Rule, set_point
from medray.stats.events import Event
from medray.stats.label_sets import has_both

from .judging import FEWEST, twice_error, within
from .label_world import COLUMNS as KIND
from .label_world import LabelCondition
from .population import Population
from .table import Section

TARGETS = (0.9, 0.95)  # of sensitivities and of coverages
PROMISES = {"sensitivity": "sens.", "having": "sets with", "without": "sets without"}
COLUMNS = (*KIND, *(f"{title} {target}" for title in PROMISES.values() for target in TARGETS), "sure 0.9")
NEW = 4000  # images that a study is asked about, whose labels are all known


@dataclass(frozen=True)
class Result:
    """What was true of one study's labels on new images: by promise and target, of the labels that promise it.

    `sure` is the share of sets with one answer at the lowest target.
    """

    labels: int
    rates: dict[tuple[str, float], list[float]] = field(default_factory=dict)
    sure: list[float] = field(default_factory=list)


def conditions(quick: bool) -> list[LabelCondition]:
    """Return the kinds of studies: common labels and rare ones, known or not, which go together or not."""
    if quick:
        return [LabelCondition(4, 300, *values) for values in ((90, 0.7, 1), (30, 0.0, 3), (15, 0.7, 1, 0.3))]
    drawn = itertools.product((90, 30, 15), (0.0, 0.7), (1, 3), (0.0, 0.3))
    return [LabelCondition(4, 300, *values) for values in drawn]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of studies, and the table at the end; nothing else is drawn."""
    kinds, count, section = conditions(quick), studies or 200, Section(COLUMNS)
    for index, condition in enumerate(kinds):
        results = measure_condition(condition, count, np.random.default_rng([seed, 7, index]))
        section.rows.append(row_of(condition, results))
        section.broken += [f"{' '.join(condition.cells)}: {line}" for line in broken_promises(results)]
        yield f"{index + 1} of {len(kinds)} kinds of studies"
    section.notes.append(f"{count} studies of each kind.")
    yield section


def measure_condition(condition: LabelCondition, studies: int, rng: np.random.Generator) -> list[Result]:
    """Run so many studies of a kind."""
    return [measure_study(condition, rng) for _ in range(studies)]


def measure_study(condition: LabelCondition, rng: np.random.Generator) -> Result:
    """Set each label's points and sets on a calibration split, and ask them about new images."""
    kept, groups = condition.draw(condition.images, rng)
    new, _ = replace(condition, unknown=0.0).draw(NEW, rng)
    table, labels, names = kept.probabilities, kept.labels, condition.names
    result = Result(condition.labels, {(promise, target): [] for promise in PROMISES for target in TARGETS})
    for index, name in enumerate(names):
        having = new.labels[:, index] == 1
        if not has_both(labels[:, index]) or not having.any():
            continue
        for target in TARGETS:
            point = set_point(Rule("sensitivity", target), table, labels, names, name, CALIBRATION, groups)
            if point.promised:
                called = point.decide(new.probabilities)
                result.rates["sensitivity", target].append(float(called[having].mean()))
            event = Event.at(index, names)
            sets = calibrate_label(event, table, labels, target, set_on=CALIBRATION, groups=groups)
            if sets is None or sets.without is None:
                continue
            inside = sets.sets(new.probabilities)
            if sets.quantile is not None:
                result.rates["having", target].append(float(inside[having, 1].mean()))
            if sets.without.quantile is not None:
                result.rates["without", target].append(float(inside[~having, 0].mean()))
            if target == TARGETS[0]:
                result.sure.append(float((inside.sum(axis=1) == 1).mean()))
    return result


def rates_of(results: list[Result], promise: str, target: float) -> Array:
    """Return the mean rate of the labels that promise one, of each study where any does; float64 (n,).

    Labels of a study go together, so that a study is one number.
    """
    listed = [result.rates[promise, target] for result in results]
    return np.array([np.mean(values) for values in listed if values])


def row_of(condition: LabelCondition, results: list[Result]) -> list[str]:
    """Return the cells of a kind's row: mean rates, and the share of labels that promise one where some don't."""
    cells = condition.cells
    for promise, target in itertools.product(PROMISES, TARGETS):
        true = rates_of(results, promise, target)
        promising = sum(len(result.rates[promise, target]) for result in results)
        share = round(100 * promising / sum(result.labels for result in results))
        of = f" (of {share} %)" if share < 100 else ""
        cells.append(f"{true.mean():.3f}{of}" if len(true) >= FEWEST else "none promised")
    return [*cells, f"{np.mean([sure for result in results for sure in result.sure]):.2f}"]


def broken_promises(results: list[Result]) -> list[str]:
    """Return a line for each promise that the studies of a kind have broken."""
    lines = []
    for promise, target in itertools.product(PROMISES, TARGETS):
        true = rates_of(results, promise, target)
        least = target if promise == "sensitivity" else target - 0.01
        if len(true) >= FEWEST and not within(true, least, 1.0):
            lines.append(f"{PROMISES[promise]} {target} is {true.mean():.3f} ± {twice_error(true):.3f}")
    return lines
