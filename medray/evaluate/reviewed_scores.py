"""What reviewers ask for beside the metrics: calibration, agreement and net benefit of the ensemble on test.

TRIPOD+AI (Collins et al. 2024) and Van Calster et al. (2025) ask for calibration intercept and slope and for net
benefit; both say more of a model in use than another AUC.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.data.grades import are_grades
from medray.decisions.thresholds import OperatingPoint
from medray.json_document import JsonDocument
from medray.stats.calibration_curve import CalibrationCurve
from medray.stats.calibration_slope import Recalibration, recalibrate
from medray.stats.chance_calibration import ChanceError, chance_calibration_error
from medray.stats.events import Event
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
    None where one class is all there is. `weighted_kappa`, with quadratic weights (Cohen 1968), is None
    too unless the classes look like grades (`are_grades`) and the task does not say so: there it is a score of
    every model. There is a decision curve for each event that has an operating point, or else for the second of
    two classes; a calibration curve for the same, or else for all.
    """

    calibration_error: ChanceError
    classes: tuple[ClassCalibration, ...]
    mcc: float
    kappa: float | None
    weighted_kappa: float | None
    decision_curves: tuple[DecisionCurve, ...]
    calibration_curves: tuple[CalibrationCurve, ...]
    likelihood_ratios: tuple[PointRatios, ...]


def review(
    predictions: Predictions, class_names: Sequence[str], rated: Sequence[tuple[OperatingPoint, Rates]],
    groups: Array | None, seed: int, *, cuts: bool = False,
) -> ReviewedScores:  # fmt: skip
    """Return what reviewers ask for of a model's `predictions`, by patient where `groups` (N,) are known.

    `rated` are the operating points with their rates on the same images. With `cuts` the classes are grades, and
    what is decided is a grade or more.

    Raises:
        DataError: a patient is missing.
    """
    from sklearn.metrics import average_precision_score, cohen_kappa_score, matthews_corrcoef

    probabilities, labels = predictions.probabilities, predictions.labels
    classes = []
    for index, name in enumerate(class_names):
        scores, of_class = probabilities[:, index], labels == index
        precision = float(average_precision_score(of_class, scores)) if of_class.any() else None
        calibration = recalibrate(scores, of_class, groups)
        classes.append(ClassCalibration(name, int(of_class.sum()), calibration, precision))
    classes_as_events = [Event.at(index, class_names, cut=cuts) for index in range(int(cuts), len(class_names))]
    decided = sorted({point.event for point, _ in rated}, key=lambda event: event.class_index)
    decided = decided or (classes_as_events[-1:] if len(class_names) == 2 else [])
    ratios = []
    for point, rates in rated:
        called, of_class = point.event.scores(probabilities) >= point.threshold, point.event.of(labels)
        of_point = (
            likelihood_ratios(rates) if groups is None else likelihood_ratios_by_patient(called, of_class, groups)
        )
        ratios.append(PointRatios(point.name, point.positive, of_point))
    predicted = predictions.predicted
    varied = len(np.unique(np.concatenate([labels, predicted]))) > 1
    graded = varied and not cuts and are_grades(class_names)
    return ReviewedScores(
        calibration_error=chance_calibration_error(probabilities, labels, seed=seed),
        classes=tuple(classes),
        mcc=float(matthews_corrcoef(labels, predicted)) if varied else 0.0,
        kappa=float(cohen_kappa_score(labels, predicted)) if varied else None,
        weighted_kappa=float(
            cohen_kappa_score(labels, predicted, labels=range(len(class_names)), weights="quadratic")
        )
        if graded
        else None,
        decision_curves=tuple(
            DecisionCurve(
                event, tuple(decision_curve(event.scores(probabilities), event.of(labels), groups=groups))
            )
            for event in decided
        ),
        calibration_curves=tuple(
            CalibrationCurve.of(event, event.scores(probabilities), event.of(labels), groups)
            for event in decided or classes_as_events
        ),
        likelihood_ratios=tuple(ratios),
    )
