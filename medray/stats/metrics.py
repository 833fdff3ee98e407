"""How good predictions are: metrics of probabilities (N, classes) against labels (N,).

Formulas are those of scikit-learn, which the tests compare with to 1e-9; they are written out here because
an epoch asks for all of them, and scikit-learn takes as long as a small network's epoch to answer.
Precision, recall and F1 of a class that is never predicted, or never there, are 0.
"""

from collections.abc import Mapping

import numpy as np

from medray._types import Array
from medray.config import METRICS
from medray.errors import DataError


def confusion_matrix(labels: Array, predicted: Array, classes: int) -> Array:
    """Count images, int64 (classes, classes): true class by row, predicted class by column."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def roc_auc(scores: Array, positive: Array) -> float:
    """Area under the ROC curve of scores (N,) for the images that are `positive` bool (N,)."""
    return separation(scores[positive], scores[~positive])


def separation(own: Array, others: Array) -> float:
    """The chance that one of `own` scores (n,) is above one of the `others` (m,), ties counting half.

    It is the area under the ROC curve (Hanley & McNeil 1982); NaN where there are none of either.
    """
    if not len(own) or not len(others):
        return float("nan")
    own, others = np.sort(own), np.sort(others)  # sorted queries are searched far faster
    below = others.searchsorted(own)
    tied = others[np.minimum(below, len(others) - 1)] == own
    halves = (others.searchsorted(own[tied], "right") - below[tied]).sum()
    return float((below.sum() + halves / 2) / (len(own) * len(others)))


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
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    found = {
        **of_confusion(matrix),
        "auc": auc(probabilities, labels),
        "log_loss": log_loss(probabilities, labels),
        "calibration_error": calibration_error(probabilities, labels),
    }
    return {name: float(found[name]) for name in METRICS}


def rates(matrix: Array) -> tuple[Array, Array, Array]:
    """Recall, precision and F1 of each class, (classes,); 0 where they would divide by 0."""
    right, actual, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    none, either = np.zeros(len(matrix)), actual + predicted
    recall = np.divide(right, actual, out=none.copy(), where=actual > 0)
    precision = np.divide(right, predicted, out=none.copy(), where=predicted > 0)
    return recall, precision, np.divide(2 * right, either, out=none, where=either > 0)


def of_confusion(matrix: Array) -> dict[str, float]:
    """Those metrics that a confusion matrix (classes, classes) holds; its counts may be weighted."""
    recall, precision, f1 = rates(matrix)
    actual, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    there = (actual + predicted) > 0  # scikit-learn's macro averages leave out a class that is in neither
    share = actual / actual.sum()
    found = {"accuracy": matrix.trace() / matrix.sum(), "balanced_accuracy": recall[actual > 0].mean()}
    for name, values in (("f1", f1), ("precision", precision), ("recall", recall)):
        found |= {f"{name}_macro": values[there].mean(), f"{name}_weighted": values @ share}
    return found


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
