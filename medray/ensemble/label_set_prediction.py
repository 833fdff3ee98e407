"""LabelSetPrediction: an ensemble's answer where an image may have several labels, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from medray._types import Array
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.prediction import NOT_SURE, Prediction
from medray.errors import DataError
from medray.stats.label_sets import CALLED

NONE = "none"


def label_thresholds(class_names: Sequence[str], points: Sequence[OperatingPoint]) -> Array:
    """Return the probability from which each label is called, float64 (classes,).

    It is that of the label's first operating point; of a label without one it is one half.
    """
    thresholds = np.full(len(class_names), CALLED)
    for point in reversed(points):  # the first of a label is written last
        thresholds[point.event.class_index] = point.threshold
    return thresholds


@dataclass(frozen=True)
class LabelSetPrediction(Prediction):
    """An ensemble's answer: `probabilities` float32 (N, classes) of each label for itself; rows don't sum to 1."""

    @property
    def labels(self) -> NoReturn:
        """Refuse: no label is the class of an image that may have several.

        Raises:
            DataError: always.
        """
        raise DataError(
            "an image may have several labels here, so none is its class: ask `called`, `called_names` or `names`"
        )

    @property
    def called(self) -> Array:
        """Whether each label is called, bool (N, classes): its probability reaches its `label_thresholds`."""
        return self.decide()

    @property
    def called_names(self) -> list[list[str]]:
        """The names of the labels that are called, for each image."""
        return [[self.class_names[label] for label in np.flatnonzero(row)] for row in self.called]

    @property
    def names(self) -> list[str]:
        """The labels that are called as one text for each image, such as "Edema, Effusion" or "none"."""
        return [", ".join(names) or NONE for names in self.called_names]

    def decide(self, point: str | None = None) -> Array:
        """Return whether each label is called, bool (N, classes), at the operating points of a name.

        Without a name it is each label's first; a label that has none is called from one half on.

        Raises:
            ConfigError: the ensemble has no operating point of that name.
        """
        points = self.operating_points if point is None else self._points(point)
        called: Array = self.probabilities.astype(np.float64) >= label_thresholds(self.class_names, points)
        return called

    def sets(self, coverage: float | None = None) -> Array:
        """Return the answers that each label may have, bool (N, classes, 2): no and yes, at that coverage of each.

        A label that was not calibrated may have both.

        Raises:
            ConfigError: the ensemble is not calibrated for that coverage.
        """
        first = self._conformal(coverage)
        answers = np.ones((*self.probabilities.shape, 2), dtype=bool)
        for conformal in self.conformal:
            if conformal.event is not None and conformal.coverage == first.coverage:
                answers[:, conformal.event.class_index] = conformal.sets(self.probabilities)
        return answers

    def answers(self, coverage: float | None = None) -> list[str]:
        """Return each image's sets as text: the labels that it surely has, then those that are not sure.

        Such as "Effusion; not sure: Mass, Nodule"; "none" if it surely has none, "not sure" if it may have any.

        Raises:
            ConfigError: the ensemble is not calibrated for that coverage.
        """
        without, having = np.moveaxis(self.sets(coverage), 2, 0)
        answers = []
        for sure, unsure in zip(having & ~without, having & without, strict=True):
            present, either = (", ".join(np.array(self.class_names)[row]) for row in (sure, unsure))
            parts = [present] * bool(present) + [f"{NOT_SURE}: {either}"] * bool(either)
            answers.append(NOT_SURE if unsure.all() else "; ".join(parts) or NONE)
        return answers
