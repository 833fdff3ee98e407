"""Calibration measures: the Brier score and reliability diagrams of probabilities (N, classes)."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.stats.validate import check_labelled


def brier_score(probabilities: Array, labels: Array) -> float:
    """Mean squared distance of a row of probabilities from its label's one-hot row, 0 to 2 (Brier 1950).

    For two classes this is twice scikit-learn's brier_score_loss, which looks at one of the classes only.

    Raises:
        DataError: the probabilities or labels can't be used.
    """
    exact, labels = check_labelled(probabilities, labels)
    return float(((exact - np.eye(exact.shape[1])[labels]) ** 2).sum(axis=1).mean())


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: the bins of confidence that hold images, from the lowest up.

    `edges` are each bin's lower and upper end, `count` its images, `confidence` the mean probability of
    their predicted class, and `accuracy` the share of them whose prediction is right.
    """

    edges: tuple[tuple[float, float], ...]
    count: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: the mean distance of confidence from accuracy, by image."""
        gaps = np.abs(np.subtract(self.confidence, self.accuracy))
        return float(np.average(gaps, weights=self.count))


def reliability(probabilities: Array, labels: Array, bins: int = 15) -> Reliability:
    """Sort images by the probability of their predicted class into bins of equal width (Guo et al. 2017).

    Raises:
        DataError: the probabilities or labels can't be used, or there is no bin.
    """
    if bins < 1:
        raise DataError(f"bins is {bins}; there must be at least one")
    exact, labels = check_labelled(probabilities, labels)
    # By the given precision, as metrics.calibration_error does: one on an edge falls into the same bin.
    which = np.minimum((np.asarray(probabilities).max(axis=1) * bins).astype(int), bins - 1)
    confidence, correct = exact.max(axis=1), exact.argmax(axis=1) == labels
    count = np.bincount(which, minlength=bins)
    filled = np.flatnonzero(count)
    return Reliability(
        edges=tuple((b / bins, (b + 1) / bins) for b in filled.tolist()),
        count=tuple(count[filled].tolist()),
        confidence=tuple(_means(which, confidence, count, filled)),
        accuracy=tuple(_means(which, correct, count, filled)),
    )


def _means(which: Array, values: Array, count: Array, filled: Array) -> list[float]:
    """The mean of `values` in each bin that is not empty."""
    sums = np.bincount(which, weights=values, minlength=len(count))
    return [float(mean) for mean in sums[filled] / count[filled]]
