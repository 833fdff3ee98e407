"""Calibration measures: the Brier score and reliability diagrams of probabilities (N, classes)."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.stats.metrics import BINS, confidence_bins
from medray.stats.validate import check_label_sets, check_labelled


def brier_score(probabilities: Array, labels: Array) -> float:
    """Return the mean squared distance of the probabilities from the labels' one-hot rows, 0 to 2 (Brier 1950).

    For two classes this is twice scikit-learn's brier_score_loss, which looks at one of the classes only.

    Raises:
        DataError: the probabilities or labels can't be used.
    """
    exact, labels = check_labelled(probabilities, labels)
    return float(((exact - np.eye(exact.shape[1])[labels]) ** 2).sum(axis=1).mean())


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: the bins of confidence that hold images, in ascending order.

    `edges` are each bin's lower and upper end, `count` its number of images, `confidence` the mean probability
    of their predicted class, and `accuracy` the share of them that are predicted correctly.
    """

    edges: tuple[tuple[float, float], ...]
    count: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def calibration_error(self) -> float:
        """The expected calibration error: the distance of confidence from accuracy, averaged over images."""
        gaps = np.abs(np.subtract(self.confidence, self.accuracy))
        return float(np.average(gaps, weights=self.count))


def reliability(probabilities: Array, labels: Array, bins: int = BINS) -> Reliability:
    """Return the reliability diagram of images in bins of equal width of confidence (Guo et al. 2017).

    Of several labels an image, labels (N, classes), it is of all known answers together: `count` is of answers,
    `confidence` the mean probability of the label, and `accuracy` the share that has it.

    Raises:
        DataError: the probabilities or labels can't be used, or `bins` is below 1.
    """
    if bins < 1:
        raise DataError(f"bins is {bins}; there must be at least one")
    if labels.ndim == 2:
        exact, labels = check_label_sets(probabilities, labels)
        known = labels >= 0
        return _in_bins(confidence_bins(exact[known], bins), exact[known], labels[known] == 1, bins)
    exact, labels = check_labelled(probabilities, labels)
    # In the precision of the input, as metrics.calibration_error: a value on an edge falls into the same bin.
    indices = confidence_bins(np.asarray(probabilities).max(axis=1), bins)
    return _in_bins(indices, exact.max(axis=1), exact.argmax(axis=1) == labels, bins)


def _in_bins(indices: Array, confidence: Array, correct: Array, bins: int) -> Reliability:
    count = np.bincount(indices)
    filled = np.flatnonzero(count)
    means = [np.bincount(indices, weights=values)[filled] / count[filled] for values in (confidence, correct)]
    return Reliability(
        edges=tuple((b / bins, (b + 1) / bins) for b in filled.tolist()),
        count=tuple(count[filled].tolist()),
        confidence=tuple(means[0].tolist()),
        accuracy=tuple(means[1].tolist()),
    )
