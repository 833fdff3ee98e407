"""Metrics of probabilities (N, classes) against labels (N,).

Formulas are those of scikit-learn, which the tests compare with to 1e-9; they are written out here because
an epoch asks for all of them, and scikit-learn takes as long as a small network's epoch to answer.
Precision, recall and F1 of a class that is never predicted, or never there, are 0.
"""

import math
from collections.abc import Mapping

import numpy as np

from medray._types import Array
from medray.stats.score_names import GRADED, PLAIN

BINS = 15  # of the calibration error


def confusion_matrix(labels: Array, predicted: Array, classes: int) -> Array:
    """Count images, int64 (classes, classes): true class by row, predicted class by column."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def roc_auc(scores: Array, positive: Array) -> float:
    """Return the area under the ROC curve of scores (N,) for the images that are `positive` bool (N,)."""
    return separation(scores[positive], scores[~positive])


def separation(positives: Array, negatives: Array) -> float:
    """Return the chance that a score of `positives` (n,) is above one of `negatives` (m,), ties counting half.

    It is the area under the ROC curve (Hanley & McNeil 1982); NaN where either is empty.
    """
    if not len(positives) or not len(negatives):
        return float("nan")
    positives, negatives = np.sort(positives), np.sort(negatives)  # sorted queries are searched far faster
    below = negatives.searchsorted(positives)
    tied = negatives[np.minimum(below, len(negatives) - 1)] == positives
    halves = (negatives.searchsorted(positives[tied], "right") - below[tied]).sum()
    return float((below.sum() + halves / 2) / (len(positives) * len(negatives)))


def auc(probabilities: Array, labels: Array) -> float:
    """Return the ROC AUC: of class 1 where there are two classes, else the mean of each class against the rest."""
    classes = probabilities.shape[1]
    if classes == 2:
        return roc_auc(probabilities[:, 1], labels == 1)
    return float(np.mean([roc_auc(probabilities[:, c], labels == c) for c in range(classes)]))


def log_loss(probabilities: Array, labels: Array) -> float:
    """Return the mean negative logarithm of the true class's probability, in nats."""
    return float(nats(probabilities, labels).mean())


def nats(probabilities: Array, labels: Array) -> Array:
    """Return each image's negative logarithm of its true class's probability, float64 (N,).

    Probabilities below a float32's epsilon count as that epsilon, so that the loss stays finite.
    """
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses: Array = -np.log(np.clip(true, np.finfo(np.float32).eps, 1.0))
    return losses


def calibration_error(probabilities: Array, labels: Array, bins: int = BINS) -> float:
    """Return the expected calibration error of the predicted class over bins of equal width (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    gaps = np.bincount(confidence_bins(confidence, bins), weights=confidence.astype(np.float64) - correct)
    return float(np.abs(gaps).sum() / len(labels))


def confidence_bins(confidence: Array, bins: int = BINS) -> Array:
    """Return the bin of each `confidence` (N,) in 0..1, int (N,); computed in the precision of `confidence`."""
    indices: Array = np.minimum((confidence * bins).astype(int), bins - 1)
    return indices


def all_metrics(probabilities: Array, labels: Array) -> dict[str, float]:
    """Return all of `PLAIN`, and of `GRADED` with the classes as grades, by name; `labels` are int64 (N,)."""
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    scores = {
        **confusion_metrics(matrix),
        "auc": auc(probabilities, labels),
        "log_loss": log_loss(probabilities, labels),
        "calibration_error": calibration_error(probabilities, labels),
    }
    return {name: float(scores[name]) for name in (*PLAIN, *GRADED)}


def recall_precision_f1(matrix: Array) -> tuple[Array, Array, Array]:
    """Return recall, precision and F1 of each class, each (classes,); 0 where they would divide by 0."""
    correct, actual, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    zeros, either = np.zeros(len(matrix)), actual + predicted
    recall = np.divide(correct, actual, out=zeros.copy(), where=actual > 0)
    precision = np.divide(correct, predicted, out=zeros.copy(), where=predicted > 0)
    return recall, precision, np.divide(2 * correct, either, out=zeros, where=either > 0)


def confusion_metrics(matrix: Array) -> dict[str, float]:
    """Return the metrics that follow from a confusion matrix (classes, classes) alone; counts may be weighted."""
    recall, precision, f1 = recall_precision_f1(matrix)
    actual, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    present = (actual + predicted) > 0  # scikit-learn's macro averages leave out a class that is in neither
    share = actual / actual.sum()
    scores = {"accuracy": matrix.trace() / matrix.sum(), "balanced_accuracy": recall[actual > 0].mean()}
    for name, values in (("f1", f1), ("precision", precision), ("recall", recall)):
        scores |= {f"{name}_macro": values[present].mean(), f"{name}_weighted": values @ share}
    return scores | grade_metrics(matrix)


def grade_metrics(matrix: Array) -> dict[str, float]:
    """Return the metrics of classes that are grades, of a confusion matrix (classes, classes).

    `quadratic_kappa` is Cohen's (1968) kappa with squared distances as weights, NaN where all images are of one
    grade and called that; `within_one` is the share whose grade is missed by at most one, `grade_error` the mean
    absolute error in grades.
    """
    grades = np.arange(len(matrix))
    distance = np.abs(grades[:, None] - grades)
    total = matrix.sum()
    by_chance = np.outer(matrix.sum(axis=1), matrix.sum(axis=0)) / total
    expected = float((distance**2 * by_chance).sum())
    return {
        "quadratic_kappa": 1 - float((distance**2 * matrix).sum()) / expected if expected else math.nan,
        "within_one": float(matrix[distance <= 1].sum() / total),
        "grade_error": float((distance * matrix).sum() / total),
    }


def defined_metrics(scores: Mapping[str, float]) -> dict[str, float]:
    """Return only the metrics that have a value: AUC has none where a class has no image."""
    return {name: value for name, value in scores.items() if np.isfinite(value)}
