"""What reviewers ask for beside the metrics: calibration, agreement and net benefit of the ensemble on test.

TRIPOD+AI (Collins et al. 2024) and Van Calster et al. (2025) ask for calibration intercept and slope and for net
benefit; both say more of a model in use than another AUC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.data.grades import are_grades
from medray.decisions.thresholds import OperatingPoint
from medray.json_document import JsonDocument
from medray.stats.calibration_curve import CalibrationCurve
from medray.stats.calibration_slope import Recalibration, recalibrate
from medray.stats.chance_calibration import ChanceError, chance_calibration_error
from medray.stats.events import Answers, Event
from medray.stats.label_set_predictions import AnyPredictions
from medray.stats.label_sets import average_precision
from medray.stats.likelihood_ratios import (
    LikelihoodRatios,
    likelihood_ratios,
    likelihood_ratios_by_patient,
)
from medray.stats.net_benefit import NetBenefit, decision_curve
from medray.stats.rates import Rates
from medray.stats.scores import Predictions


@dataclass(frozen=True)
class ClassCalibration(JsonDocument):
    """One class against the rest: its calibration and average precision; `images` are those of the class.

    `average_precision` is None where no image is of the class.
    """

    name: str
    images: int
    calibration: Recalibration
    average_precision: float | None


@dataclass(frozen=True)
class DecisionCurve(JsonDocument):
    """Net benefit of deciding on an `event` by its probability, at rising thresholds."""

    event: Event
    points: tuple[NetBenefit, ...]


@dataclass(frozen=True)
class PointRatios(JsonDocument):
    """The likelihood ratios of an operating point on the test images."""

    point: str
    positive: str
    ratios: LikelihoodRatios


@dataclass(frozen=True)
class ReviewedScores(JsonDocument):
    """Calibration, agreement and net benefit of one model on the test images.

    `calibration_error` stands beside what chance alone gives. `mcc` is Matthews' correlation, `kappa` Cohen's,
    None where one class is all there is; of several labels an image there is neither. `weighted_kappa`, with
    quadratic weights (Cohen 1968), is None too unless the classes look like grades (`are_grades`) and the task
    does not say so: there it is a score of every model. There is a decision curve for each event that has an
    operating point, or else for the second of two classes; a calibration curve for the same, or else for all.
    """

    calibration_error: ChanceError
    classes: tuple[ClassCalibration, ...]
    mcc: float | None
    kappa: float | None
    weighted_kappa: float | None
    decision_curves: tuple[DecisionCurve, ...]
    calibration_curves: tuple[CalibrationCurve, ...]
    likelihood_ratios: tuple[PointRatios, ...]

    @property
    def label_sets(self) -> bool:
        """Whether an image may have several labels, so that there is no agreement with one class."""
        return self.mcc is None

    def main_curves(self, most: int) -> list[DecisionCurve]:
        """Return at most so many decision curves, in their order: those of the classes that most images have."""
        ranked = sorted(self.decision_curves, key=lambda curve: -self.classes[curve.event.class_index].images)
        return [curve for curve in self.decision_curves if curve in ranked[:most]]


def review(
    predictions: AnyPredictions, class_names: Sequence[str], rated: Sequence[tuple[OperatingPoint, Rates]],
    groups: Array | None, seed: int, *, cuts: bool = False,
) -> ReviewedScores:  # fmt: skip
    """Return what reviewers ask for of a model's `predictions`, by patient where `groups` (N,) are known.

    `rated` are the operating points with their rates on the same images. With `cuts` the classes are grades, and
    what is decided is a grade or more.

    Raises:
        DataError: a patient is missing.
    """
    table, labels = predictions.probabilities, predictions.labels

    def answers(event: Event) -> Answers:
        return event.answers(table, labels, groups)

    classes_as_events = [Event.at(index, class_names, cut=cuts) for index in range(int(cuts), len(class_names))]
    decided = sorted({point.event for point, _ in rated}, key=lambda event: event.class_index)
    two_classes = len(class_names) == 2 and labels.ndim == 1
    decided = decided or (classes_as_events[-1:] if two_classes else [])
    shown = [event for event in decided or classes_as_events if len(answers(event).scores)]
    return ReviewedScores(
        calibration_error=chance_calibration_error(table, labels, groups, seed=seed),
        classes=tuple(_class_calibration(Event.at(i, class_names), answers) for i in range(len(class_names))),
        **_agreement(predictions, class_names, cuts=cuts),
        decision_curves=tuple(
            DecisionCurve(event, tuple(decision_curve(scores, having, groups=patients)))
            for event in decided
            for scores, having, patients in [answers(event)]
        ),
        calibration_curves=tuple(CalibrationCurve.of(event, *answers(event)) for event in shown),
        likelihood_ratios=tuple(
            PointRatios(point.name, point.positive, _ratios(point, rates, answers(point.event)))
            for point, rates in rated
        ),
    )


def _class_calibration(event: Event, answers: Callable[[Event], Answers]) -> ClassCalibration:
    scores, of_class, groups = answers(event)
    precision = average_precision(scores, of_class) if of_class.any() else None
    return ClassCalibration(event.name, int(of_class.sum()), recalibrate(scores, of_class, groups), precision)


def _ratios(point: OperatingPoint, rates: Rates, answers: Answers) -> LikelihoodRatios:
    if answers.groups is None:
        return likelihood_ratios(rates)
    return likelihood_ratios_by_patient(answers.scores >= point.threshold, answers.having, answers.groups)


def _agreement(predictions: AnyPredictions, class_names: Sequence[str], *, cuts: bool) -> dict[str, float | None]:
    """Return Matthews' correlation and both kappas; all None for several labels an image."""
    from sklearn.metrics import cohen_kappa_score, matthews_corrcoef

    if not isinstance(predictions, Predictions):
        return {"mcc": None, "kappa": None, "weighted_kappa": None}
    labels, predicted = predictions.labels, predictions.predicted
    if len(np.unique(np.concatenate([labels, predicted]))) == 1:
        return {"mcc": 0.0, "kappa": None, "weighted_kappa": None}
    grades = not cuts and are_grades(class_names)
    numbers = range(len(class_names))
    return {
        "mcc": float(matthews_corrcoef(labels, predicted)),
        "kappa": float(cohen_kappa_score(labels, predicted)),
        "weighted_kappa": float(cohen_kappa_score(labels, predicted, labels=numbers, weights="quadratic"))
        if grades
        else None,
    }
