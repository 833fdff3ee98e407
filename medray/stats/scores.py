"""Scores: every figure of one model's probabilities on one set of images, as it is or resampled.

A resample is a vector of counts: how often each image was drawn. What does not depend on them (the order of
the images by each class's probability, their losses, their bins) is worked out once, so a bootstrap takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

import numpy as np

from medray._types import Array
from medray.config import METRICS
from medray.errors import DataError
from medray.stats.metrics import confusion_matrix, of_confusion, rates, roc_auc

#: Every score and which way is better: the metrics that a search can be judged by, and the Brier score.
MODES: dict[str, str] = {**METRICS, "brier": "min"}
BINS = 15  # of the calibration error, as in medray.stats.metrics
ROUNDING = 1e-3  # how far a row may be from summing to 1: half precision comes within it


class ClassScores(TypedDict):
    """One class against the rest; what would divide by 0 is as said in `Measure.per_class`."""

    name: str
    images: int
    precision: float
    recall: float
    specificity: float | None
    f1: float
    auc: float | None


@dataclass(frozen=True, eq=False)
class Measure:
    """One model's `probabilities` float (N, classes) for images of `labels` int64 (N,).

    Raises:
        DataError: there are no images or fewer than two classes, an array has the wrong type or shape, a
            label is no class, or a row holds a NaN or a negative number or does not sum to 1.
    """

    probabilities: Array
    labels: Array
    classes: int

    def __post_init__(self) -> None:
        _check(self.probabilities, self.labels, self.classes)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def predicted(self) -> Array:
        """The likeliest class of each image, int64 (N,)."""
        found: Array = self.probabilities.argmax(axis=1)
        return found

    @cached_property
    def correct(self) -> Array:
        """Whether the likeliest class is the true one, bool (N,)."""
        found: Array = self.predicted == self.labels
        return found

    @cached_property
    def confusion(self) -> Array:
        """Images by true class (rows) and predicted class (columns), int64 (classes, classes)."""
        return confusion_matrix(self.labels, self.predicted, self.classes)

    @cached_property
    def _ranking(self) -> "_Ranking":
        return _Ranking.of(self.probabilities, self.labels)

    @cached_property
    def _nats(self) -> Array:
        chosen = self.probabilities[np.arange(len(self)), self.labels].astype(np.float64)
        found: Array = -np.log(np.clip(chosen, np.finfo(np.float32).eps, 1.0))
        return found

    @cached_property
    def _squares(self) -> Array:
        distance = self.probabilities.astype(np.float64)
        distance[np.arange(len(self)), self.labels] -= 1
        found: Array = np.square(distance).sum(axis=1)
        return found

    @cached_property
    def _calibration(self) -> tuple[Array, Array]:
        """Each image's bin, and its confidence less whether it is correct, in the probabilities' precision."""
        confidence = self.probabilities.max(axis=1)
        return np.minimum((confidence * BINS).astype(int), BINS - 1), confidence - self.correct

    def scores(self, weights: Array | None = None) -> dict[str, float]:
        """Every score of `MODES`, by name, with image i counted `weights[i]` times (N,); once if None.

        The metrics are those of `medray.stats.metrics.evaluate`; "brier" is the mean over the images of
        the squared distance between the probabilities and the true class's one-hot vector, from 0 to 2
        (Brier 1950). AUC is NaN where a class has no image.

        Raises:
            DataError: the weights have the wrong shape, or are negative, not finite or all 0.
        """
        counts = self._counts(weights)
        total = counts.sum()
        cells = np.bincount(self.labels * self.classes + self.predicted, weights=counts, minlength=self.classes**2)
        bins, gap = self._calibration
        found = of_confusion(cells.reshape(self.classes, self.classes)) | {
            "auc": self._ranking.auc(counts),
            "log_loss": counts @ self._nats / total,
            "calibration_error": np.abs(np.bincount(bins, weights=counts * gap)).sum() / total,
            "brier": counts @ self._squares / total,
        }
        return {name: float(found[name]) for name in MODES}

    def auc(self, weights: Array | None = None) -> float:
        """Only the AUC of `scores`; raises as it does."""
        return self._ranking.auc(self._counts(weights))

    def per_class(self, class_names: Sequence[str]) -> list[ClassScores]:
        """Each class against the rest; recall is the class's sensitivity.

        Precision, recall and F1 of a class that is never predicted, or never there, are 0, as in the macro
        averages; specificity is None where every image is of the class, AUC where all or none are.

        Raises:
            DataError: there is not one name for each class.
        """
        if len(class_names) != self.classes:
            raise DataError(f"{len(class_names)} class names for {self.classes} classes")
        matrix = self.confusion.astype(np.float64)
        recall, precision, f1 = rates(matrix)
        actual, false = matrix.sum(axis=1), matrix.sum(axis=0) - matrix.diagonal()
        rest = len(self) - actual
        return [
            ClassScores(
                name=name,
                images=int(actual[c]),
                precision=float(precision[c]),
                recall=float(recall[c]),
                specificity=float(1 - false[c] / rest[c]) if rest[c] else None,
                f1=float(f1[c]),
                auc=roc_auc(self.probabilities[:, c], self.labels == c) if rest[c] and actual[c] else None,
            )
            for c, name in enumerate(class_names)
        ]

    def _counts(self, weights: Array | None) -> Array:
        if weights is None:
            return np.ones(len(self))
        if weights.shape != (len(self),):
            raise DataError(f"weights are {weights.shape}, not ({len(self)},): one for each image")
        counts: Array = weights.astype(np.float64)
        if not (counts.min() >= 0 and 0 < counts.sum() < np.inf):
            raise DataError("weights must be counts of images: 0 or more, finite, and not all 0")
        return counts


def _check(probabilities: Array, labels: Array, classes: int) -> None:
    if classes < 2:
        raise DataError(f"{classes} class; at least two are needed")
    if labels.dtype != np.int64 or labels.ndim != 1:
        raise DataError(f"labels are {labels.dtype} {labels.shape}, not int64 (N,)")
    if not len(labels):
        raise DataError("no images: there is nothing to measure")
    wanted = (len(labels), classes)
    if probabilities.dtype.kind != "f" or probabilities.shape != wanted:
        raise DataError(f"probabilities are {probabilities.dtype} {probabilities.shape}, not float {wanted}")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"labels run from {labels.min()} to {labels.max()}, not from 0 to {classes - 1}")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    wrong = ~((probabilities >= 0).all(axis=1) & (np.abs(sums - 1) <= ROUNDING))
    if wrong.any():
        first = int(wrong.argmax())
        row = ", ".join(f"{p:.4g}" for p in probabilities[first, :8]) + (", …" if classes > 8 else "")
        raise DataError(
            f"probabilities of {wrong.sum()} of {len(labels)} images are not 0 or more with a sum of 1; the "
            f"first is image {first}: {row}"
        )


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Images in the order of each class's probability, with ties marked, for the AUC of any counts.

    `order` (K, N) has a row for each class that AUC looks at: only class 1 where there are two. `image` (M,)
    are the images that are of those classes, `row` (M,) which row each belongs to, and in that row the
    images at the same probability as itself lie at positions `start` (M,) up to, not including, `end` (M,).
    """

    order: Array
    image: Array
    row: Array
    start: Array
    end: Array

    @classmethod
    def of(cls, probabilities: Array, labels: Array) -> "_Ranking":
        classes = probabilities.shape[1]
        looked_at = [1] if classes == 2 else list(range(classes))
        order = np.argsort(probabilities[:, looked_at].T, axis=1)
        images, starts, ends = [], [], []
        for row, c in enumerate(looked_at):
            images.append(np.flatnonzero(labels == c))
            scores, own = probabilities[order[row], c], probabilities[images[-1], c]
            starts.append(np.searchsorted(scores, own, side="left"))
            ends.append(np.searchsorted(scores, own, side="right"))
        rows = np.repeat(np.arange(len(looked_at)), [len(found) for found in images])
        return cls(order, np.concatenate(images), rows, np.concatenate(starts), np.concatenate(ends))

    def auc(self, counts: Array) -> float:
        """Mean over the rows of the chance that an image of the class scores above one of the rest.

        Mann & Whitney's (1947) rank sum, ties counting half: what all images add, less what those of the
        class add among themselves, which is half the square of their number. NaN where a class has none.
        """
        rows, count = self.order.shape
        below = np.zeros((rows, count + 1))
        np.cumsum(counts[self.order], axis=1, out=below[:, 1:])
        own = counts[self.image]
        middle = (below[self.row, self.start] + below[self.row, self.end]) / 2
        positives = np.bincount(self.row, weights=own, minlength=rows)
        pairs = positives * (counts.sum() - positives)
        if not pairs.all():
            return float("nan")
        wins = np.bincount(self.row, weights=own * middle, minlength=rows) - positives**2 / 2
        return float((wins / pairs).mean())
