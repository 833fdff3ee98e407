"""All scores of one model's predictions on one set of images, of the images as they are or resampled.

A resample is a vector of counts: how often each image was drawn. What does not depend on the counts (the order of
the images by each class's probability, their losses, their bins) is computed once, so a bootstrap takes seconds.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.stats.metrics import (
    confidence_bins,
    confusion_matrix,
    confusion_metrics,
    nats,
)
from medray.stats.score_names import OF_CLASSES
from medray.stats.validate import check_labelled

STEP = 1e-4  # images, in derivatives by the confusion matrix


@dataclass(frozen=True, eq=False)
class Predictions:
    """One model's `probabilities` float (N, classes) for images of `labels` int64 (N,).

    Raises:
        DataError: there are no images or another number of classes, or the arrays can't be used.
    """

    probabilities: Array
    labels: Array
    classes: int

    def __post_init__(self) -> None:
        exact, _ = check_labelled(self.probabilities, self.labels)
        if exact.shape[1] != self.classes:
            raise DataError(f"probabilities are of {exact.shape[1]} classes, not of {self.classes}")
        if self.labels.dtype != np.int64:  # confusion_matrix multiplies them
            raise DataError(f"labels are {self.labels.dtype}, not int64")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def predicted(self) -> Array:
        """The likeliest class of each image, int64 (N,)."""
        predicted: Array = self.probabilities.argmax(axis=1)
        return predicted

    @cached_property
    def correct(self) -> Array:
        """Whether the likeliest class is the true one, bool (N,)."""
        correct: Array = self.predicted == self.labels
        return correct

    @cached_property
    def distances(self) -> Array:
        """How many grades lie between the likeliest class of each image and its true one, int64 (N,)."""
        distances: Array = np.abs(self.predicted - self.labels)
        return distances

    @cached_property
    def confusion(self) -> Array:
        """Images by true class (rows) and predicted class (columns), int64 (classes, classes)."""
        return confusion_matrix(self.labels, self.predicted, self.classes)

    @cached_property
    def confusion_slopes(self) -> dict[str, Array]:
        """The derivatives of `confusion_metrics` by the confusion matrix, each (classes, classes), by name."""
        matrix = self.confusion.astype(np.float64)
        here = confusion_metrics(matrix)
        slopes = {name: np.zeros(matrix.shape) for name in here}
        for cell in np.ndindex(*matrix.shape):
            matrix[cell] += STEP
            for name, value in confusion_metrics(matrix).items():
                slopes[name][cell] = (value - here[name]) / STEP
            matrix[cell] -= STEP
        return slopes

    @cached_property
    def ranking(self) -> "Ranking":
        """The images in the order of each class's probability."""
        return Ranking.of(self.probabilities, self.labels)

    @cached_property
    def _by_image(self) -> tuple[Array, Array, Array, Array]:
        """Each image's log loss, Brier score, bin of confidence, and confidence less correctness; each (N,)."""
        confidence = self.probabilities.max(axis=1)
        gaps = confidence.astype(np.float64) - self.correct
        return nats(self.probabilities, self.labels), self.squared_errors, confidence_bins(confidence), gaps

    @cached_property
    def squared_errors(self) -> Array:
        """Each image's Brier score: the squared distance of its probabilities from its label, float64 (N,)."""
        distance = self.probabilities.astype(np.float64) - np.eye(self.classes)[self.labels]
        squared: Array = np.square(distance).sum(axis=1)
        return squared

    def scores(self, weights: Array | None = None) -> dict[str, float]:
        """Return all of `OF_CLASSES` by name, with image i counted `weights[i]` times (N,), or once if None.

        The metrics are those of `medray.stats.metrics.all_metrics`; "brier" is that of
        `medray.stats.calibration.brier_score`. AUC is NaN where a class has no image.

        Raises:
            DataError: the weights have the wrong shape, or are negative, not finite or all 0.
        """
        counts = image_counts(weights, len(self))
        total = counts.sum()
        cells = np.bincount(self.labels * self.classes + self.predicted, weights=counts, minlength=self.classes**2)
        losses, brier, bins, gaps = self._by_image
        scores = confusion_metrics(cells.reshape(self.classes, self.classes)) | {
            "auc": self.ranking.auc(counts),
            "log_loss": counts @ losses / total,
            "calibration_error": np.abs(np.bincount(bins, weights=counts * gaps)).sum() / total,
            "brier": counts @ brier / total,
        }
        return {name: float(scores[name]) for name in OF_CLASSES}


def image_counts(weights: Array | None, images: int) -> Array:
    """Return how often each image is counted, float64 (images,): once where `weights` is None.

    Raises:
        DataError: the weights have the wrong shape, or are negative, not finite or all 0.
    """
    if weights is None:
        return np.ones(images)
    if weights.shape != (images,):
        raise DataError(f"weights are {weights.shape}, not ({images},): one for each image")
    counts: Array = weights.astype(np.float64)
    if not (counts.min() >= 0 and 0 < counts.sum() < np.inf):
        raise DataError("weights must be counts of images: 0 or more, finite, and not all 0")
    return counts


@dataclass(frozen=True, eq=False)
class Ranking:
    """The images in the order of each class's probability, with ties marked, for the AUC of any counts.

    `order` (K, N) has a row for each class that the AUC averages over: only class 1 where there are two.
    `image` (M,) are the images of those classes, `row` (M,) the row of each, and `start` (M,) to `end` (M,) the
    range of that row whose images have the same probability as it.
    """

    order: Array
    image: Array
    row: Array
    start: Array
    end: Array

    @classmethod
    def of(cls, probabilities: Array, labels: Array) -> "Ranking":
        """Return the ranking of images by probabilities (N, classes), with labels int64 (N,)."""
        classes = probabilities.shape[1]
        averaged = [1] if classes == 2 else list(range(classes))
        order = np.argsort(probabilities[:, averaged].T, axis=1)
        images, starts, ends = [], [], []
        for row, c in enumerate(averaged):
            images.append(np.flatnonzero(labels == c))
            scores, positives = probabilities[order[row], c], probabilities[images[-1], c]
            starts.append(np.searchsorted(scores, positives, side="left"))
            ends.append(np.searchsorted(scores, positives, side="right"))
        rows = np.repeat(np.arange(len(averaged)), [len(positions) for positions in images])
        return cls(order, np.concatenate(images), rows, np.concatenate(starts), np.concatenate(ends))

    def auc(self, counts: Array) -> float:
        """Return the chance that an image of a class scores above one of the rest, as the mean over the rows.

        Mann & Whitney's (1947) rank sum, ties counting half: the sum over all images, less that among the images
        of the class, which is half the square of their number. NaN where a class has no image.
        """
        rows, count = self.order.shape
        below = np.zeros((rows, count + 1))
        np.cumsum(counts[self.order], axis=1, out=below[:, 1:])
        weights = counts[self.image]
        midranks = (below[self.row, self.start] + below[self.row, self.end]) / 2
        positives = np.bincount(self.row, weights=weights, minlength=rows)
        pairs = positives * (counts.sum() - positives)
        if not pairs.all():
            return float("nan")
        wins = np.bincount(self.row, weights=weights * midranks, minlength=rows) - positives**2 / 2
        return float((wins / pairs).mean())
