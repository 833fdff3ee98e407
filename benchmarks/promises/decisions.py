"""Promises about new images: sensitivities, conformal sets, and probabilities that mean what they say."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.decisions.conformal import calibrate, summarize_sets
from medray.decisions.promises import CALIBRATION, independent_number
from medray.decisions.thresholds import Rule, set_point
from medray.ensemble.calibrate_ensemble import CalibratedSelection
from medray.stats.metrics import roc_auc

from .judging import FEWEST, twice_error, within
from .population import Condition, Images, Population
from .studies import study
from .table import KIND, Section

TARGETS = (0.9, 0.95)  # of sensitivities and of coverages
NAMES = ("other", "case")
COLUMNS = (
    *KIND, "ensemble", "set on", "studies", "cases there", "AUC on new",
    "sens. 0.9", "sens. 0.95", "spec. at 0.95", "sets 0.9 (size)", "sets 0.95 (size)", "slope",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What one ensemble of one study promised, and what was true of it on the new images."""

    condition: Condition
    ensemble: str
    set_on: str
    images: int
    cases: float
    promised: dict[float, bool]
    sensitivity: dict[float, float]
    specificity: dict[float, float]
    covered: dict[float, float]
    size: dict[float, float]
    accuracy: float
    slope: float
    auc: float


def conditions(quick: bool) -> list[Condition]:
    """Return the kinds of studies."""
    if quick:
        return [Condition(0.92, 400, 0.3, 1), Condition(0.79, 1500, 0.1, 1), Condition(0.92, 1500, 0.3, 5)]
    return [
        Condition(*values)
        for values in itertools.product((0.97, 0.92, 0.79), (150, 400, 1500), (0.1, 0.3, 0.5), (1, 5))
    ]


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of studies, and the table at the end."""
    kinds, count = conditions(quick), studies or (60 if quick else 200)
    results: list[Result] = []
    for index, condition in enumerate(kinds):
        for number in range(count):
            results += measure_study(population, condition, np.random.default_rng([seed, index, number]))
        yield f"{index + 1} of {len(kinds)} kinds of studies"
    section = tabulate(results)
    section.notes.append(f"{count} studies of each kind.")
    yield section


def measure_study(population: Population, condition: Condition, rng: np.random.Generator) -> Iterator[Result]:
    """Run one study and yield a result for each kind of ensemble."""
    for calibrated, answers, new in study(population, condition, rng):
        yield measure(condition, calibrated, answers, new)


def measure(condition: Condition, calibrated: CalibratedSelection, answers: Array, new: Images) -> Result:
    """Set points and sets on the calibrated images, and measure them on the new ones."""
    positive = new.labels == 1
    accuracy = float((answers.argmax(axis=1) == new.labels).mean())
    slope, auc = calibration_slope(answers, new.labels), roc_auc(answers[:, 1], positive)
    title, set_on, images = calibrated.selection.title, calibrated.set_on, len(calibrated.labels)
    scores = calibrated.probabilities[calibrated.labels == 1, 1]
    groups = None if calibrated.groups is None else calibrated.groups[calibrated.labels == 1]
    cases = independent_number(scores, groups)
    result = Result(condition, title, set_on, images, cases, {}, {}, {}, {}, {}, accuracy, slope, auc)
    for target in TARGETS:
        point = set_point(
            Rule("sensitivity", target), calibrated.probabilities, calibrated.labels, NAMES, NAMES[1],
            calibrated.set_on, calibrated.groups,
        )  # fmt: skip
        called = point.decide(answers)
        result.promised[target] = point.promised is not None
        result.sensitivity[target] = float(called[positive].mean())
        result.specificity[target] = float((~called[~positive]).mean())
        sets = calibrate(
            calibrated.probabilities,
            calibrated.labels,
            target,
            "lac",
            set_on=calibrated.set_on,
            groups=calibrated.groups,
        )
        summary = summarize_sets(sets.sets(answers), new.labels)
        result.covered[target] = summary.covered.value or 0.0
        result.size[target] = summary.mean_size
    return result


def calibration_slope(answers: Array, labels: Array) -> float:
    """Return the slope of a logistic regression of the labels on the answers' log-odds: 1 is right (Cox 1958)."""
    from sklearn.linear_model import LogisticRegression

    positive = answers[:, 1].astype(np.float64).clip(1e-6, 1 - 1e-6)
    odds = np.log(positive / (1 - positive))[:, None]
    return float(LogisticRegression(C=np.inf).fit(odds, labels).coef_[0, 0])


def tabulate(results: list[Result]) -> Section:
    """Return the table, with the promises that are broken.

    The sensitivity of a target is that of the studies that promise it, where any does. Rows of fewer than
    `FEWEST` studies are shown and not judged.
    """
    section = Section(COLUMNS)
    broken = section.broken
    for (condition, ensemble, set_on), alike in grouped(results).items():
        name = " ".join([*condition.cells, ensemble])
        cells = [*condition.cells, ensemble, set_on, str(len(alike))]
        cells += [f"{mean(alike, 'cases'):.0f}", f"{mean(alike, 'auc'):.3f}"]
        judged = set_on == CALIBRATION and len(alike) >= FEWEST
        for target in TARGETS:
            promised = [r for r in alike if r.promised[target]]
            true = np.array([r.sensitivity[target] for r in promised or alike])
            cells.append(f"{true.mean():.3f}")
            lowest, highest = (target, target + 0.02) if mean(alike, "cases") >= 40 else (target - 0.01, 1.0)
            if len(promised) >= FEWEST and not within(true, lowest, highest):
                broken.append(f"{name}: sensitivity {target} is {true.mean():.3f} ± {twice_error(true):.3f}")
        cells.append(f"{np.mean([r.specificity[0.95] for r in alike]):.3f}")
        for target in TARGETS:
            covered = np.array([r.covered[target] for r in alike])
            cells.append(f"{covered.mean():.3f} ({np.mean([r.size[target] for r in alike]):.2f})")
            if judged and not within(covered, target - 0.01, highest_coverage(alike, target)):
                broken.append(f"{name}: coverage {target} is {covered.mean():.3f} ± {twice_error(covered):.3f}")
        slopes = np.log([max(r.slope, 1e-3) for r in alike])
        slope = float(np.exp(slopes.mean()))
        if judged and not within(slopes, float(np.log(0.9)), float(np.log(1.1))):
            broken.append(f"{name}: calibration slope {slope:.2f}")
        section.rows.append([*cells, f"{slope:.2f}"])
    return section


def mean(results: list[Result], name: str) -> float:
    """Return the mean of one of the numbers of `results`."""
    return float(np.mean([getattr(result, name) for result in results]))


def highest_coverage(results: list[Result], target: float) -> float:
    """Return the mean coverage that sets may have at most.

    It is 0.01 above the target, or above the accuracy, as no set is empty. Of n images the rank of the quantile is
    whole, so that the coverage is up to 1 / (n + 1) above the target: more than 0.01 below a hundred images.
    """
    return max(target, mean(results, "accuracy")) + max(0.01, 1 / (mean(results, "images") + 1))


def grouped(results: list[Result]) -> dict[tuple[Condition, str, str], list[Result]]:
    """Return the results by condition, ensemble and the images that set it, in their order.

    By chance one study of a kind has enough cases for a calibration split, and another has not.
    """
    groups: dict[tuple[Condition, str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.condition, result.ensemble, result.set_on), []).append(result)
    return groups
