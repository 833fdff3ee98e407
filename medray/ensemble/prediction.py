"""Prediction: an ensemble's answer to images of one class each, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.decisions.conformal import INTERVAL, ConformalSets
from medray.decisions.thresholds import OperatingPoint
from medray.errors import ConfigError, unknown_choice_line

NOT_SURE = "not sure"


@dataclass(frozen=True)
class Prediction:
    """An ensemble's answer: `probabilities` float32 (N, classes), calibrated, each row summing to 1."""

    probabilities: Array
    class_names: tuple[str, ...]
    operating_points: tuple[OperatingPoint, ...] = ()
    conformal: tuple[ConformalSets, ...] = ()

    @property
    def labels(self) -> Array:
        """The likeliest class of each image, int64 (N,)."""
        likeliest: Array = self.probabilities.argmax(axis=1)
        return likeliest

    @property
    def names(self) -> list[str]:
        """The name of the likeliest class of each image."""
        return [self.class_names[label] for label in self.labels]

    def decide(self, point: str | None = None) -> Array:
        """Return whether each image is positive at an operating point, bool (N,); the first one unless named.

        Raises:
            ConfigError: the ensemble has no such operating point.
        """
        return self._points(point)[0].decide(self.probabilities)

    def _points(self, name: str | None) -> Sequence[OperatingPoint]:
        """Return the operating points of a name, or of that of the first."""
        names = [point.name for point in self.operating_points]
        if not names:
            raise ConfigError(
                "the ensemble has no operating point; set one by "
                "medray ensemble RUN --sensitivity 0.95 --positive CLASS"
            )
        if name is not None and name not in names:
            raise ConfigError(unknown_choice_line("operating point", name, list(dict.fromkeys(names))))
        return [point for point in self.operating_points if point.name == (name or names[0])]

    def sets(self, coverage: float | None = None) -> Array:
        """Return the classes each image may be of, bool (N, classes), at an error rate of 1 - `coverage`.

        Raises:
            ConfigError: the ensemble is not calibrated for that coverage.
        """
        return self._conformal(coverage).sets(self.probabilities)

    def _conformal(self, coverage: float | None) -> ConformalSets:
        for conformal in self.conformal:
            if coverage is None or abs(conformal.coverage - coverage) < 1e-9:
                return conformal
        valid = ", ".join(dict.fromkeys(f"{conformal.coverage:g}" for conformal in self.conformal)) or "none"
        asked = "any coverage" if coverage is None else f"{coverage:g}"
        raise ConfigError(f"no conformal sets for {asked}; this ensemble has: {valid}")

    def answers(self, coverage: float | None = None) -> list[str]:
        """Return each image's set as text: one class, several joined by `or`, or `not sure` if it may be any.

        Three grades or more are `1 to 3`.

        Raises:
            ConfigError: the ensemble is not calibrated for that coverage.
        """
        conformal = self._conformal(coverage)
        answers = []
        for row in conformal.sets(self.probabilities):
            names = [self.class_names[c] for c in np.flatnonzero(row)]
            grades = conformal.method == INTERVAL and len(names) > 2
            answers.append(
                NOT_SURE if row.all() else f"{names[0]} to {names[-1]}" if grades else " or ".join(names)
            )
        return answers
