"""All scores of one model's predictions of several labels an image, of the images as they are or resampled."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.stats.label_sets import CALLED, average_precision, binary_table, mean_defined, nats_of_sets
from medray.stats.metrics import BINS, confidence_bins
from medray.stats.score_names import LABEL_SETS
from medray.stats.scores import Predictions, image_counts
from medray.stats.validate import check_label_sets


@dataclass(frozen=True, eq=False)
class LabelView:
    """One label as a question of its own: the images whose answer is known, as predictions of two classes.

    `rows` (n,) are their positions among all images.
    """

    rows: Array
    predictions: Predictions

    @property
    def has_auc(self) -> bool:
        """Whether some of the images have the label and some have not."""
        return 0 < int(self.predictions.labels.sum()) < len(self.predictions)

    def groups(self, groups: Array | None) -> Array | None:
        """Return the patients (n,) of the view's images, by those of all images (N,)."""
        return None if groups is None else groups[self.rows]


@dataclass(frozen=True, eq=False)
class LabelSetPredictions:
    """One model's `probabilities` float (N, K) for images of `labels` int64 (N, K): 1, 0, or -1 for unknown.

    Raises:
        DataError: there are no images or another number of labels, or the arrays can't be used.
    """

    probabilities: Array
    labels: Array
    classes: int

    def __post_init__(self) -> None:
        exact, _ = check_label_sets(self.probabilities, self.labels)
        if exact.shape[1] != self.classes:
            raise DataError(f"probabilities are of {exact.shape[1]} labels, not of {self.classes}")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def known(self) -> Array:
        """Whether each label is known, bool (N, K)."""
        known: Array = self.labels >= 0
        return known

    @cached_property
    def having(self) -> Array:
        """Whether each image is known to have each label, bool (N, K)."""
        having: Array = self.labels == 1
        return having

    @cached_property
    def called(self) -> Array:
        """Whether each label has a probability of one half or more, bool (N, K)."""
        called: Array = self.probabilities.astype(np.float64) >= CALLED
        return called

    @cached_property
    def correct(self) -> Array:
        """Whether an image has exactly the labels that are called, of those that are known; bool (N,).

        It is so of an image of which nothing is known, which `judged` leaves out.
        """
        correct: Array = np.logical_not(self.wrong.any(axis=1))
        return correct

    @cached_property
    def wrong(self) -> Array:
        """Whether a label is known and called wrongly, bool (N, K)."""
        wrong: Array = (self.called != self.having) & self.known
        return wrong

    @cached_property
    def judged(self) -> Array:
        """Whether some label of an image is known, bool (N,)."""
        judged: Array = np.any(self.known, axis=1)
        return judged

    @cached_property
    def confusion(self) -> Array:
        """Images by label (rows): with it and called, with it and not, without it and called, and not; (K, 4)."""
        with_it, without = self.having, self.known & ~self.having
        cells = [with_it & self.called, with_it & ~self.called, without & self.called, without & ~self.called]
        return np.stack([cell.sum(axis=0) for cell in cells], axis=1).astype(np.int64)

    @cached_property
    def views(self) -> tuple[LabelView | None, ...]:
        """Each label as a question of its own, None where no image's answer is known."""
        views: list[LabelView | None] = []
        for scores, labels in zip(self.probabilities.T, self.labels.T, strict=True):
            rows = np.flatnonzero(labels >= 0)
            table = binary_table(scores[rows])
            views.append(LabelView(rows, Predictions(table, labels[rows], 2)) if len(rows) else None)
        return tuple(views)

    @cached_property
    def labels_with_auc(self) -> tuple[int, ...]:
        """The labels that some images have and some have not: those that the mean AUC is over."""
        return tuple(i for i, view in enumerate(self.views) if view is not None and view.has_auc)

    @cached_property
    def pooled(self) -> LabelView:
        """All known answers to all labels as one question; `rows` are the images that they belong to."""
        rows = np.nonzero(self.known)[0]
        table = binary_table(self.probabilities[self.known])
        return LabelView(rows, Predictions(table, self.labels[self.known], 2))

    @cached_property
    def losses(self) -> Array:
        """The log loss of each label that is known, 0 of others, float64 (N, K)."""
        losses: Array = np.where(self.known, nats_of_sets(self.probabilities, self.labels), 0.0)
        return losses

    @cached_property
    def squared_errors(self) -> Array:
        """The squared distance of each probability from its label, 0 where that is unknown, float64 (N, K)."""
        squared: Array = np.square(self.probabilities.astype(np.float64) - self.labels) * self.known
        return squared

    def scores(self, weights: Array | None = None) -> dict[str, float]:
        """Return all of `LABEL_SETS` and "brier", with image i counted `weights[i]` times (N,), or once if None.

        Of the images as they are, the metrics are those of `medray.stats.label_sets.label_set_metrics`; NaN where
        one is not defined.

        Raises:
            DataError: the weights have the wrong shape, or are negative, not finite or all 0.
        """
        counts = image_counts(weights, len(self))
        hits = counts @ (self.called & self.having)
        wrong = counts @ self.wrong
        answers = counts @ self.known.sum(axis=1)
        pooled, by_answer = self.pooled.predictions, counts[self.pooled.rows]
        pooled_scores = pooled.probabilities[:, 1]
        bins = confidence_bins(self.probabilities[self.known].astype(np.float64))
        gaps = np.bincount(bins, weights=by_answer * (pooled_scores - pooled.labels), minlength=BINS)
        views = [(view.predictions, counts[view.rows]) for view in self.views if view is not None]
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN: neither there nor called, or nothing known
            scores = {
                "auc": mean_defined(np.array([view.ranking.auc(count) for view, count in views])),
                "auc_micro": pooled.ranking.auc(by_answer),
                "average_precision": mean_defined(
                    np.array(
                        [
                            average_precision(view.probabilities[:, 1], view.labels == 1, count)
                            for view, count in views
                        ]
                    )
                ),
                "f1_macro": mean_defined(
                    np.where(counts @ self.having > 0, 2 * hits / (2 * hits + wrong), np.nan)
                ),
                "f1_micro": 2 * hits.sum() / (2 * hits.sum() + wrong.sum()),
                "exact_match": counts @ (self.correct & self.judged) / (counts @ self.judged),
                "log_loss": counts @ self.losses.sum(axis=1) / answers,
                "calibration_error": np.abs(gaps).sum() / answers,
                "brier": counts @ self.squared_errors.sum(axis=1) / answers,
            }
        return {name: float(scores[name]) for name in (*LABEL_SETS, "brier")}


AnyPredictions = Predictions | LabelSetPredictions


def predictions_of(probabilities: Array, labels: Array, classes: int) -> AnyPredictions:
    """Return predictions (N, classes) of images of one class each, labels (N,), or of several labels (N, classes).

    Raises:
        DataError: there are no images or another number of classes, or the arrays can't be used.
    """
    kind = LabelSetPredictions if labels.ndim == 2 else Predictions
    return kind(probabilities, labels, classes)
