"""Choosing members, on validation or out-of-fold predictions only."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from medray.config import METRICS
from medray.data.dataset import Array
from medray.ensemble.candidates import Candidate
from medray.training import metrics

LIBRARY = 100  # the best so many take part: a larger library overfits, and costs time
ROUNDS = 20
PATIENCE = 5  # rounds without a gain

Weighted = list[tuple[Candidate, float]]


def top_k(candidates: Sequence[Candidate], k: int) -> Weighted:
    """The best `k`, all with the same weight; `candidates` come best first."""
    return [(candidate, 1.0) for candidate in candidates[:k]]


def greedy(candidates: Sequence[Candidate], labels: Array, metric: str) -> Weighted:
    """Greedy selection with replacement (Caruana et al. 2004), from the best of the library (2006).

    Begins with the best candidate and adds, round by round, the one with which the mean is best by `metric`;
    where several are equal, by log loss. A candidate's weight is how often it was taken. The best round counts.
    """
    library = list(candidates[:LIBRARY])
    score = _scorer(metric, labels)
    sign = 1 if METRICS[metric] == "max" else -1
    taken, total = [0], library[0].probabilities.astype(np.float64)
    best, length = (sign * score(total), -metrics.log_loss(total, labels)), 1
    while len(taken) < ROUNDS and len(taken) - length < PATIENCE:
        size = len(taken) + 1
        gains = [sign * score((total + candidate.probabilities) / size) for candidate in library]
        equal = np.flatnonzero(np.isclose(gains, max(gains), rtol=0, atol=1e-12))
        losses = [metrics.log_loss((total + library[i].probabilities) / size, labels) for i in equal]
        chosen = int(equal[int(np.argmin(losses))])
        taken.append(chosen)
        total = total + library[chosen].probabilities
        if (found := (gains[chosen], -min(losses))) > best:
            best, length = found, len(taken)
    return [(library[i], float(count)) for i, count in sorted(Counter(taken[:length]).items())]


def _scorer(metric: str, labels: Array) -> Callable[[Array], float]:
    """The metric alone where it is quick to have alone."""
    if metric == "auc":
        return lambda probabilities: metrics.auc(probabilities, labels)
    if metric == "log_loss":
        return lambda probabilities: metrics.log_loss(probabilities, labels)
    if metric == "accuracy":
        return lambda probabilities: float((probabilities.argmax(axis=1) == labels).mean())
    return lambda probabilities: metrics.evaluate(probabilities, labels)[metric]
