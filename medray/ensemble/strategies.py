"""Strategies that select an ensemble's members from candidates, on validation or out-of-fold predictions only."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from medray._types import Array
from medray.ensemble.candidates import Candidate
from medray.errors import DataError
from medray.stats import metrics
from medray.stats.bootstrap import bootstrap, percentile_interval, resample_counts
from medray.stats.label_set_predictions import predictions_of
from medray.stats.label_sets import auc_by_label, average_precision_by_label, label_set_metrics, mean_defined
from medray.stats.score_names import METRICS

LIBRARY = 100  # candidates, the best ones: a larger library overfits, and costs time
ROUNDS = 20
PATIENCE = 5  # rounds without a gain
RESAMPLES = 100
WORSE_IN_A_ROW = 8  # what comes after them is worse still
SAME = 1e-12  # a difference that is rounding only

Weighted = list[tuple[Candidate, float]]


def top_k(candidates: Sequence[Candidate], labels: Array, metric: str, k: int) -> Weighted:
    """Return the best `k` of those that are not clearly worse than the best, all with the same weight.

    `candidates` come best first, with predictions of images of these labels (N,) or (N, classes). Clearly worse is
    one for which the bootstrap's 95 % interval of the paired difference in `metric` lies on the worse side: after
    a short search the second best may be poor enough to spoil the mean. Where the metric is not defined in most
    resamples, as with few images of a class, nothing is called worse.
    """
    selected, worse_in_a_row = list(candidates[:1]), 0
    for candidate in candidates[1:LIBRARY]:
        if len(selected) == k or worse_in_a_row == WORSE_IN_A_ROW:
            break
        worse_in_a_row = worse_in_a_row + 1 if _clearly_worse(candidate, candidates[0], labels, metric) else 0
        if not worse_in_a_row:
            selected.append(candidate)
    return [(candidate, 1.0) for candidate in selected]


def _clearly_worse(candidate: Candidate, best: Candidate, labels: Array, metric: str) -> bool:
    if len(labels) < 2:
        return False
    labels, classes = labels.astype(np.int64), best.probabilities.shape[1]
    models = {
        name: predictions_of(c.probabilities, labels, classes) for name, c in (("a", candidate), ("b", best))
    }
    scores = bootstrap(models, resample_counts(len(labels), RESAMPLES, seed=0))
    ahead = scores["a"][metric] - scores["b"][metric]
    interval = percentile_interval(ahead if METRICS[metric] == "max" else -ahead)
    return interval is not None and interval[1] < 0


def greedy(candidates: Sequence[Candidate], labels: Array, metric: str) -> Weighted:
    """Select greedily with replacement (Caruana et al. 2004) from a library of the best (2006).

    Round by round it adds the candidate with which the mean is best by `metric` on images of these labels,
    int64 (N,) or (N, classes); where several are equal, by log loss, and where that is equal too, the first.
    A candidate's weight is how often it was selected. The selection of the best round is returned, so the mean is
    never worse than the library's best single candidate.

    Raises:
        DataError: there are no candidates, or the metric is not defined on these images.
    """
    library = list(candidates[:LIBRARY])
    if not library:
        raise DataError("no candidates: there is nothing to select from")
    score, sign = _scorer(metric, library, labels), 1 if METRICS[metric] == "max" else -1
    loss = (
        partial(_label_set_metric, "log_loss", labels)
        if labels.ndim == 2
        else partial(metrics.log_loss, labels=labels)
    )
    selected: list[int] = []
    total = np.zeros(library[0].probabilities.shape)
    best, length = (-np.inf, -np.inf), 0
    while len(selected) < ROUNDS and len(selected) - length < PATIENCE:
        size = len(selected) + 1
        gains = sign * score(total, size)
        if np.isnan(gains).any():
            raise DataError(f"{metric} can't be measured on these {len(labels)} images: a class has none")
        equal = np.flatnonzero(gains >= gains.max() - SAME)
        losses = np.array([loss((total + library[i].probabilities) / size) for i in equal])
        index = int(equal[losses <= losses.min() + SAME][0])
        selected.append(index)
        total += library[index].probabilities
        gain, likelihood = float(gains[index]), -float(losses.min())
        if gain > best[0] + SAME or (gain > best[0] - SAME and likelihood > best[1] + SAME):
            best, length = (gain, likelihood), len(selected)
    return [(library[i], float(count)) for i, count in sorted(Counter(selected[:length]).items())]


def _scorer(metric: str, library: Sequence[Candidate], labels: Array) -> Callable[[Array, int], Array]:
    """Return a function of a sum and a size: the metric of the mean once each candidate of the library is added.

    It is `metrics.all_metrics`'s, alone: to have all of them takes several times as long.
    """
    if labels.ndim == 2:
        measure = partial(_label_set_metric, metric, labels)
        return lambda total, size: np.array([measure((total + c.probabilities) / size) for c in library])
    if metric == "auc":
        return _auc_scorer(library, labels)
    alone = {"log_loss": metrics.log_loss, "calibration_error": metrics.calibration_error}
    score = alone.get(metric, partial(_confusion_metric, metric))
    return lambda total, size: np.array([score((total + c.probabilities) / size, labels) for c in library])


def _auc_scorer(library: Sequence[Candidate], labels: Array) -> Callable[[Array, int], Array]:
    """Score one class at a time, so that the sorted columns stay in the CPU's cache; ranks need no division."""
    classes = library[0].probabilities.shape[1]
    sides = []
    for index in [1] if classes == 2 else range(classes):
        order = np.argsort(labels != index, kind="stable")  # positive images first
        columns = [candidate.probabilities[order, index] for candidate in library]
        sides.append((index, order, int((labels == index).sum()), columns))

    def score(total: Array, _size: int) -> Array:
        scores = np.zeros(len(library))
        for index, order, positives, columns in sides:
            rest = total[order, index]
            means = (rest + column for column in columns)
            scores += [metrics.separation(mean[:positives], mean[positives:]) for mean in means]
        return scores / len(sides)

    return score


def _label_set_metric(metric: str, labels: Array, probabilities: Array) -> float:
    """Return a metric of several labels an image."""
    alone = {"auc": auc_by_label, "average_precision": average_precision_by_label}
    if metric in alone:
        return mean_defined(alone[metric](probabilities.astype(np.float64), labels))
    return label_set_metrics(probabilities, labels)[metric]


def _confusion_metric(metric: str, probabilities: Array, labels: Array) -> float:
    """Return a metric that depends on the predicted classes alone."""
    matrix = metrics.confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    return float(metrics.confusion_metrics(matrix)[metric])
