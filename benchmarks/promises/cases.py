"""Promises about cases of several images: sensitivities and sets of their mean, max and noisy-or answers.

A case is an exam of one to five images, and a patient has one exam or several. A too sure network sees the images,
which are alike within an exam and within a patient. Of a sick case all images show it, or some.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from medray._types import Array
from medray.decisions.conformal import calibrate, summarize_sets
from medray.decisions.promises import CALIBRATION
from medray.decisions.temperature import apply_temperature, fit_temperature
from medray.decisions.thresholds import Rule, set_point
from medray.stats.case_rule import CLASSES, MAX, MEAN, NOISY_OR, CaseRule
from medray.stats.cases import CaseIndex

from .judging import FEWEST, twice_error, within
from .population import Population
from .table import Section

TARGETS = (0.9, 0.95)  # of sensitivities and of coverages
NAMES = ("well", "sick")
COLUMNS = (
    "answer", "cases", "sick", "of each patient", "images that show it", "sens. 0.9", "sens. 0.95", "spec. at 0.9",
    "sets 0.9 (size)", "sets 0.95 (size)",
)  # fmt: skip
NEW = 2000  # cases that a study is asked about
MOST_IMAGES = 5  # of a case, which has one or more
SURE = 2.0  # times as sure as the noise allows


@dataclass(frozen=True)
class CaseCondition:
    """The kind of study: its answer, cases, share of patients who are sick, cases of each, images that show it."""

    answer: str
    cases: int
    sick: float
    per_patient: int
    showing: float

    @property
    def cells(self) -> list[str]:
        """The first cells of a table's row."""
        numbers = (self.cases, self.sick, self.per_patient, self.showing)
        return [self.answer, *(f"{number:g}" for number in numbers)]

    def draw(self, cases: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Return answers float32 (n, 2) to about so many cases, their labels and their patients int64 (n,)."""
        patients = cases // self.per_patient
        groups = np.repeat(np.arange(patients), self.per_patient)
        labels = (rng.random(patients) < self.sick).astype(np.int64)[groups]
        sizes = rng.integers(1, MOST_IMAGES + 1, size=len(groups))
        numbers = np.repeat(np.arange(len(groups)), sizes)
        shows = rng.random(len(numbers)) < self.showing
        shows[np.append(0, sizes.cumsum()[:-1])] = True  # a case that nothing shows would be no sick one
        of_case = rng.normal(0, 0.7, size=patients)[groups] + rng.normal(0, 0.4, size=len(groups))
        side = np.where(shows & (labels[numbers] == 1), 1.0, -1.0)
        odds = SURE * (1.2 * side + of_case[numbers] + rng.normal(0, 1.2, size=len(numbers)))
        chance = 1 / (1 + np.exp(-odds))
        table = np.stack([1 - chance, chance], axis=1).astype(np.float32)
        return CaseIndex(CaseRule("exam", self.answer, CLASSES, 0), numbers).answers(table), labels, groups


@dataclass(frozen=True)
class Result:
    """What was true of one study on new cases, by target: `sensitivity` and `specificity` where it is promised."""

    sensitivity: dict[float, float] = field(default_factory=dict)
    specificity: dict[float, float] = field(default_factory=dict)
    covered: dict[float, float] = field(default_factory=dict)
    size: dict[float, float] = field(default_factory=dict)


def conditions(quick: bool) -> list[CaseCondition]:
    """Return the kinds of studies."""
    answers = (MEAN, MAX, NOISY_OR)
    if quick:
        return [CaseCondition(answer, 240, 0.3, 3, 0.4) for answer in answers]
    drawn = itertools.product(answers, ((80, 0.5), (240, 0.15)), (1, 3), (1.0, 0.4))
    return [CaseCondition(answer, cases, sick, each, share) for answer, (cases, sick), each, share in drawn]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of studies, and the table at the end; nothing else is drawn."""
    kinds, count, section = conditions(quick), studies or 200, Section(COLUMNS)
    for index, condition in enumerate(kinds):
        results = measure_condition(condition, count, np.random.default_rng([seed, 8, index]))
        section.rows.append(row_of(condition, results))
        section.broken += [f"{' '.join(condition.cells)}: {line}" for line in broken_promises(results)]
        yield f"{index + 1} of {len(kinds)} kinds of studies"
    section.notes.append(f"{count} studies of each kind.")
    yield section


def measure_condition(condition: CaseCondition, studies: int, rng: np.random.Generator) -> list[Result]:
    """Run so many studies of a kind."""
    return [measure_study(condition, rng) for _ in range(studies)]


def measure_study(condition: CaseCondition, rng: np.random.Generator) -> Result:
    """Set temperature, points and sets on a calibration split of cases, and ask them about new cases."""
    table, labels, groups = condition.draw(condition.cases, rng)
    new, truth, _ = condition.draw(NEW, rng)
    temperature = fit_temperature(table, labels)
    table, new = apply_temperature(table, temperature), apply_temperature(new, temperature)
    patients = None if condition.per_patient == 1 else groups
    result = Result()
    for target in TARGETS:
        point = set_point(Rule("sensitivity", target), table, labels, NAMES, NAMES[1], CALIBRATION, patients)
        if point.promised:
            called = point.decide(new)
            result.sensitivity[target] = float(called[truth == 1].mean())
            result.specificity[target] = float((~called[truth == 0]).mean())
        sets = calibrate(table, labels, target, "lac", set_on=CALIBRATION, groups=patients)
        summary = summarize_sets(sets.sets(new), truth)
        result.covered[target], result.size[target] = summary.covered.value or 0.0, summary.mean_size
    return result


def row_of(condition: CaseCondition, results: list[Result]) -> list[str]:
    """Return the cells of a kind's row, and the share of studies that promise a sensitivity where some don't."""
    cells = condition.cells
    for name, target in (("sensitivity", 0.9), ("sensitivity", 0.95), ("specificity", 0.9)):
        true = [getattr(result, name)[target] for result in results if target in result.sensitivity]
        share = round(100 * len(true) / len(results))
        of = f" (of {share} %)" if share < 100 and name == "sensitivity" else ""
        cells.append(f"{np.mean(true):.3f}{of}" if len(true) >= FEWEST else "none promised")
    for target in TARGETS:
        covered, sizes = ([getattr(r, part)[target] for r in results] for part in ("covered", "size"))
        cells.append(f"{np.mean(covered):.3f} ({np.mean(sizes):.2f})")
    return cells


def broken_promises(results: list[Result]) -> list[str]:
    """Return a line for each promise that the studies of a kind have broken."""
    lines = []
    for target in TARGETS:
        true = np.array([r.sensitivity[target] for r in results if target in r.sensitivity])
        if len(true) >= FEWEST and not within(true, target, 1.0):
            lines.append(f"sensitivity {target} is {true.mean():.3f} ± {twice_error(true):.3f}")
        covered = np.array([result.covered[target] for result in results])
        if not within(covered, target - 0.01, 1.0):
            lines.append(f"coverage {target} is {covered.mean():.3f} ± {twice_error(covered):.3f}")
    return lines
