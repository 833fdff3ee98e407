"""How good predictions are: metrics of probabilities (N, classes) against labels (N,).

Formulas are those of scikit-learn, which the tests compare with to 1e-9; they are written out here because
an epoch asks for all of them, and scikit-learn takes as long as a small network's epoch to answer.
Precision, recall and F1 of a class that is never predicted, or never there, are 0.
"""

from collections.abc import Mapping

import numpy as np

from medray.config import METRICS
from medray.data.dataset import Array
from medray.errors import DataError


def confusion_matrix(labels: Array, predicted: Array, classes: int) -> Array:
    """Count images, int64 (classes, classes): true class by row, predicted class by column."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def roc_auc(scores: Array, positive: Array) -> float:
    """Area under the ROC curve of scores (N,) for the images that are `positive` bool (N,).

    The chance that a positive image scores above a negative one, ties counting half (Hanley & McNeil 1982);
    NaN where there are none of either.
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    ordered, own = np.sort(scores), np.sort(scores[positive])  # sorted queries are searched far faster
    ranks = (np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right") + 1) / 2
    return float((ranks.sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auc(probabilities: Array, labels: Array) -> float:
    """ROC AUC: of class 1 where there are two classes, else the mean of every class against the rest."""
    classes = probabilities.shape[1]
    if classes == 2:
        return roc_auc(probabilities[:, 1], labels == 1)
    return float(np.mean([roc_auc(probabilities[:, c], labels == c) for c in range(classes)]))


def log_loss(probabilities: Array, labels: Array) -> float:
    """Mean negative logarithm of the true class's probability, in nats."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(chosen, np.finfo(np.float32).eps, 1.0)).mean())


def calibration_error(probabilities: Array, labels: Array, bins: int = 15) -> float:
    """Expected calibration error of the predicted class over bins of equal width (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(which, weights=confidence - correct, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def evaluate(probabilities: Array, labels: Array) -> dict[str, float]:
    """All metrics of `medray.config.METRICS`, by name; `labels` int64 (N,), `probabilities` (N, classes)."""
    classes = probabilities.shape[1]
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), classes).astype(np.float64)
    right, actual, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    recall = np.divide(right, actual, out=np.zeros(classes), where=actual > 0)
    precision = np.divide(right, predicted, out=np.zeros(classes), where=predicted > 0)
    f1 = np.divide(2 * right, actual + predicted, out=np.zeros(classes), where=actual + predicted > 0)
    there = (actual + predicted) > 0  # scikit-learn's macro averages leave out a class that is in neither
    share = actual / actual.sum()
    found = {
        "auc": auc(probabilities, labels),
        "accuracy": right.sum() / matrix.sum(),
        "balanced_accuracy": recall[actual > 0].mean(),
        "f1_macro": f1[there].mean(),
        "f1_weighted": f1 @ share,
        "precision_macro": precision[there].mean(),
        "precision_weighted": precision @ share,
        "recall_macro": recall[there].mean(),
        "recall_weighted": recall @ share,
        "log_loss": log_loss(probabilities, labels),
        "calibration_error": calibration_error(probabilities, labels),
    }
    return {name: float(found[name]) for name in METRICS}


def defined(found: Mapping[str, float]) -> dict[str, float]:
    """Only those metrics that have a value: AUC has none where a class has no image."""
    return {name: value for name, value in found.items() if np.isfinite(value)}


def check_measurable(metric: str, labels: Array, class_names: tuple[str, ...], split: str = "val") -> None:
    """Check that `metric` is defined on these labels.

    Raises:
        DataError: AUC is asked for and a class has no image.
    """
    missing = [name for i, name in enumerate(class_names) if not (labels == i).any()]
    if metric == "auc" and missing:
        raise DataError(f"split '{split}' has no image of {', '.join(missing)}: auc can't be measured on it")
