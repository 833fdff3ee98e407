"""Metrics of several labels an image: probabilities and labels (N, K), of which -1 is not known and left out.

Formulas are those of scikit-learn, which the tests compare with to 1e-9. A label with no image, or with nothing
else, has no AUC, one with no image no average precision and no F1; the means are over the labels that have one.
"""

import numpy as np

from medray._types import Array
from medray.stats.metrics import BINS, confidence_bins, roc_auc
from medray.stats.score_names import LABEL_SETS

CALLED = 0.5  # the probability from which a label is called where no operating point says another


def has_both(labels: Array) -> bool:
    """Return whether some images have a label and some have not, by its marks (N,): 1, 0, or -1 for unknown."""
    return bool((labels == 1).any() and (labels == 0).any())


def binary_table(scores: Array) -> Array:
    """Return the probabilities (N, 2) of not having a label and of having it, float64, from `scores` (N,)."""
    exact = scores.astype(np.float64)
    return np.column_stack([1 - exact, exact])


def label_set_metrics(probabilities: Array, labels: Array) -> dict[str, float]:
    """Return all of `LABEL_SETS` by name, NaN where undefined; `labels` are int64 (N, K): 1, 0 or -1."""
    exact, known, having = probabilities.astype(np.float64), labels >= 0, labels == 1
    called = exact >= CALLED
    hits, wrong = (called & having).sum(axis=0), ((called != having) & known).sum(axis=0)
    scores, truth = exact[known], having[known]
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(having.any(axis=0), 2 * hits / (2 * hits + wrong), np.nan)  # or one false alarm adds a 0
        f1_micro = 2 * hits.sum() / (2 * hits.sum() + wrong.sum())
    gaps = np.bincount(confidence_bins(scores), weights=scores - truth, minlength=BINS)
    figures = {
        "auc": mean_defined(auc_by_label(exact, labels)),
        "auc_micro": roc_auc(scores, truth),
        "average_precision": mean_defined(average_precision_by_label(exact, labels)),
        "f1_macro": mean_defined(f1),
        "f1_micro": float(f1_micro),
        "exact_match": float(((called == having) | ~known).all(axis=1)[known.any(axis=1)].mean()),
        "log_loss": float(nats_of_sets(exact, labels)[known].mean()),
        "calibration_error": float(np.abs(gaps).sum() / len(scores)),
    }
    return {name: figures[name] for name in LABEL_SETS}


def mean_defined(values: Array) -> float:
    """Return the mean of the values (K,) that are numbers, NaN where none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def auc_by_label(probabilities: Array, labels: Array) -> Array:
    """Return the ROC AUC of each label, float64 (K,), NaN where it has no image or nothing else."""
    return np.array(
        [roc_auc(p[y >= 0], y[y >= 0] == 1) for p, y in zip(probabilities.T, labels.T, strict=True)], dtype=float
    )


def average_precision_by_label(probabilities: Array, labels: Array) -> Array:
    """Return the average precision of each label, float64 (K,), NaN where it has no image."""
    return np.array(
        [average_precision(p[y >= 0], y[y >= 0] == 1) for p, y in zip(probabilities.T, labels.T, strict=True)]
    )


def average_precision(scores: Array, positive: Array, counts: Array | None = None) -> float:
    """Return the mean of the precision over the recalls of scores (n,), images of equal score together.

    The sum of (R_i - R_(i-1)) P_i over falling thresholds, without interpolation; NaN where nothing is positive.
    `counts` (n,) is how often each image is counted, once where it is None.
    """
    weights = np.ones(len(scores)) if counts is None else counts
    order = np.argsort(-scores, kind="stable")
    hits, images = (weights * positive)[order].cumsum(), weights[order].cumsum()
    last = np.append(np.diff(scores[order]) != 0, True)[: len(order)]  # of images of equal score
    if not len(hits) or not hits[-1]:
        return float("nan")
    kept = last & (images > 0)
    gained = np.diff(hits[kept], prepend=0)
    return float((gained * hits[kept] / images[kept]).sum() / hits[-1])


def nats_of_sets(probabilities: Array, labels: Array) -> Array:
    """Return the negative logarithm of the probability of each label's truth, float64 (N, K).

    Probabilities below a float32's epsilon count as that epsilon; what is not known counts as not having it.
    """
    exact = probabilities.astype(np.float64)
    true = np.where(labels == 1, exact, 1 - exact)
    losses: Array = -np.log(true.clip(np.finfo(np.float32).eps, 1.0))
    return losses


def brier_score_of_sets(probabilities: Array, labels: Array) -> float:
    """Return the mean squared distance of the probabilities (N, K) from the labels that are known."""
    known = labels >= 0
    return float(np.square(probabilities.astype(np.float64)[known] - labels[known]).mean())
