"""Choosing members, on validation or out-of-fold predictions only."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from medray.config import METRICS
from medray.data.dataset import Array
from medray.ensemble.candidates import Candidate
from medray.errors import DataError
from medray.training import metrics

LIBRARY = 100  # the best so many take part: a larger library overfits, and costs time
ROUNDS = 20
PATIENCE = 5  # rounds without a gain
SAME = 1e-12  # a difference that is rounding only

Weighted = list[tuple[Candidate, float]]


def top_k(candidates: Sequence[Candidate], k: int) -> Weighted:
    """The best `k`, all with the same weight; `candidates` come best first."""
    return [(candidate, 1.0) for candidate in candidates[:k]]


def greedy(candidates: Sequence[Candidate], labels: Array, metric: str) -> Weighted:
    """Greedy selection with replacement (Caruana et al. 2004), from the best of the library (2006).

    Round by round it adds the candidate with which the mean is best by `metric` on the images with these
    labels, int64 (N,); where several are equal, by log loss, and where that is equal too, the first. A
    candidate's weight is how often it was taken. The best round counts, so the mean is never worse than the
    library's best single candidate.

    Raises:
        DataError: there are no candidates, or the metric is not defined on these images.
    """
    library = list(candidates[:LIBRARY])
    if not library:
        raise DataError("no candidates: there is nothing to choose from")
    score, sign = _scorer(metric, labels), 1 if METRICS[metric] == "max" else -1
    taken: list[int] = []
    total = np.zeros(library[0].probabilities.shape)
    best, length = (-np.inf, -np.inf), 0
    while len(taken) < ROUNDS and len(taken) - length < PATIENCE:
        size = len(taken) + 1
        gains = np.array([sign * score((total + candidate.probabilities) / size) for candidate in library])
        if np.isnan(gains).any():
            raise DataError(f"{metric} can't be measured on these {len(labels)} images: a class has none")
        equal = np.flatnonzero(gains >= gains.max() - SAME)
        losses = np.array([metrics.log_loss((total + library[i].probabilities) / size, labels) for i in equal])
        chosen = int(equal[losses <= losses.min() + SAME][0])
        taken.append(chosen)
        total += library[chosen].probabilities
        found = (float(gains[chosen]), -float(losses.min()))
        if found[0] > best[0] + SAME or (found[0] > best[0] - SAME and found[1] > best[1] + SAME):
            best, length = found, len(taken)
    return [(library[i], float(count)) for i, count in sorted(Counter(taken[:length]).items())]


def _scorer(metric: str, labels: Array) -> Callable[[Array], float]:
    """The metric alone, since to have all of them takes twice as long."""
    alone = {"auc": metrics.auc, "log_loss": metrics.log_loss, "calibration_error": metrics.calibration_error}
    if metric in alone:
        return lambda probabilities: alone[metric](probabilities, labels)
    return lambda probabilities: _of_decisions(metric, labels, probabilities)


def _of_decisions(metric: str, labels: Array, probabilities: Array) -> float:
    """A metric that depends on the predicted classes alone, as `metrics.evaluate` defines it."""
    matrix = metrics.confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    right, actual, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    if metric in ("accuracy", "recall_weighted"):
        return float(right.sum() / matrix.sum())
    if metric == "balanced_accuracy":
        return float((right[actual > 0] / actual[actual > 0]).mean())
    kind, _, averaging = metric.partition("_")
    top, bottom = {"precision": (1, predicted), "recall": (1, actual), "f1": (2, actual + predicted)}[kind]
    by_class = np.divide(top * right, bottom, out=np.zeros(len(right)), where=bottom > 0)
    if averaging == "weighted":
        return float(by_class @ actual / actual.sum())
    return float(by_class[actual + predicted > 0].mean())
