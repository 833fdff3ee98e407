"""What an ensemble's answers on other images are worth: all scores, calibration, and its decisions as they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array
from medray.data.members import UNKNOWN
from medray.decisions.conformal import ConformalSets
from medray.decisions.thresholds import OperatingPoint
from medray.evaluate.cut_scores import CutScores
from medray.evaluate.scores_document import PointOnTest, SetsOnTest
from medray.json_document import JsonDocument
from medray.stats.bootstrap import Estimate
from medray.stats.calibration_slope import Recalibration, recalibrate
from medray.stats.class_scores import ClassScores, class_scores
from medray.stats.events import Event
from medray.stats.label_set_predictions import AnyPredictions, predictions_of
from medray.stats.patients import group_numbers
from medray.stats.score_intervals import score_interval
from medray.tasks import TASKS

LEAST = 20  # images, or cases, of a part that has figures of its own
NO_CLASS = "0 "  # how the reason of an estimate begins that lacks a class


@dataclass(frozen=True)
class ExternalFigures(JsonDocument):
    """An ensemble's figures on some images, with 95 % intervals, by patient where patients are known.

    Where the ensemble answers by case, `cases` is how many the images make, and all figures are of these.

    `missing_classes` have no image: figures that need them have no value. Of several labels an image they are
    those of which nothing is known, and no figure has them. `calibration` is of each class against the rest, by
    its name. `cuts` are those between grades, none where the task has no order. Operating points and sets are
    those that the ensemble has.
    """

    images: int
    cases: int | None
    patients: int | None
    missing_classes: tuple[str, ...]
    scores: dict[str, Estimate]
    confusion_matrix: tuple[tuple[int, ...], ...]
    per_class: tuple[ClassScores, ...]
    cuts: tuple[CutScores, ...]
    calibration: dict[str, Recalibration]
    operating_points: tuple[PointOnTest, ...]
    conformal_sets: tuple[SetsOnTest, ...]


def measure_figures(
    probabilities: Array, labels: Array, class_names: Sequence[str], task: str, groups: Array | None = None,
    points: Sequence[OperatingPoint] = (), conformal: Sequence[ConformalSets] = (), images: int | None = None,
) -> ExternalFigures:  # fmt: skip
    """Return the figures of probabilities (n, classes) against `labels` int64 (n,), of patients `groups` (n,).

    Where images have several, labels are (n, classes). Where there are `images`, the n answers are to their cases.

    Raises:
        DataError: there are no images, or a patient is missing.
    """
    predictions = predictions_of(probabilities, labels, len(class_names))
    events = [Event.at(index, class_names) for index in range(len(class_names))]
    known = {event.name: event for event in events if event.known(labels).any()}
    there = [name for name, event in known.items() if labels.ndim == 2 or event.of(labels).any()]
    missing = [name for name in class_names if name not in there]

    def calibration(event: Event) -> Recalibration:
        return recalibrate(*event.answers(probabilities, labels, groups))

    return ExternalFigures(
        images=len(labels) if images is None else images,
        cases=None if images is None else len(labels),
        patients=None if groups is None else int(group_numbers(groups, len(labels)).max()) + 1,
        missing_classes=tuple(missing),
        scores={name: _score(name, predictions, groups, missing) for name in TASKS[task].scores},
        confusion_matrix=tuple(map(tuple, predictions.confusion.tolist())),
        per_class=tuple(class_scores(predictions, class_names, groups)),
        cuts=tuple(
            CutScores.of(event, predictions, groups)
            for event in (TASKS[task].events(class_names) if TASKS[task].cuts else ())
        ),
        calibration={name: calibration(event) for name, event in known.items()},
        operating_points=tuple(
            PointOnTest.of(point, predictions, groups) for point in points if point.event.known(labels).any()
        ),
        conformal_sets=tuple(
            SetsOnTest.of(sets, predictions, groups)
            for sets in conformal
            if sets.event is None or sets.event.known(labels).any()
        ),
    )


def _score(name: str, predictions: AnyPredictions, groups: Array | None, missing: Sequence[str]) -> Estimate:
    """Return a score with its interval; the reason why it has none names the classes that are missing."""
    estimate = score_interval(name, predictions, groups)
    if estimate.reason is not None and estimate.reason.startswith(NO_CLASS) and missing:
        estimate = replace(estimate, reason=f"no image of {', '.join(missing)}")
    if estimate.value is not None and not math.isfinite(estimate.value):
        return Estimate(None, None, None, estimate.reason or "not defined")
    return estimate


def figures_at(
    rows: Array, probabilities: Array, labels: Array, class_names: Sequence[str], task: str,
    groups: Array | None = None, points: Sequence[OperatingPoint] = (), conformal: Sequence[ConformalSets] = (),
    images: int | None = None,
) -> ExternalFigures | None:  # fmt: skip
    """Return the figures of the answers at `rows` (m,) alone, as `measure_figures`; None where they are too few.

    That is fewer than `LEAST`, or all of one class, or of labels that all images have or all have not.
    """
    if len(rows) < LEAST or len({*np.unique(labels[rows]).tolist()} - {UNKNOWN}) < 2:
        return None
    kept = None if groups is None else groups[rows]
    return measure_figures(probabilities[rows], labels[rows], class_names, task, kept, points, conformal, images)
