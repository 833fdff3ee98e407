"""Agreement of predictions with labels beyond chance, of a confusion matrix, and average precision.

Formulas are those of scikit-learn, which the tests compare with.
"""

from typing import Literal

import numpy as np

from medray._types import Array

Weights = Literal["none", "linear", "quadratic"]


def matthews_correlation(matrix: Array) -> float:
    """Return Matthews' correlation of a confusion matrix (classes, classes), from -1 to 1 (Gorodkin 2004).

    It is 0 where all images are of one class, or all are predicted as one.
    """
    cells = matrix.astype(np.float64)
    actual, predicted, total = cells.sum(axis=1), cells.sum(axis=0), cells.sum()
    covariance = cells.trace() * total - actual @ predicted
    spread = (total**2 - actual @ actual) * (total**2 - predicted @ predicted)
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0


def kappa(matrix: Array, weights: Weights = "none") -> float:
    """Return Cohen's kappa of a confusion matrix (classes, classes): 1 is full agreement, 0 that of chance.

    With `weights` a confusion counts as much as the classes are apart, or the square of it (Cohen 1968): only
    for classes whose order is one of degree, such as grades. NaN where labels and predictions are all of one
    class, as chance leaves nothing to agree on.
    """
    cells = matrix.astype(np.float64)
    apart = np.abs(np.subtract.outer(np.arange(len(cells)), np.arange(len(cells))))
    penalty = {"none": apart > 0, "linear": apart, "quadratic": apart**2}[weights]
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / cells.sum()
    by_chance = float((penalty * expected).sum())
    return 1 - float((penalty * cells).sum()) / by_chance if by_chance else float("nan")


def average_precision(scores: Array, positive: Array) -> float:
    """Return the average precision of scores (N,) for the images that are `positive` bool (N,).

    It is the precision at each threshold weighted by the recall gained there, not interpolated; images of equal
    score pass the threshold together, so their order does not matter. NaN without a positive image. A model that
    knows nothing has the share of positives.
    """
    total = int(positive.sum())
    if not total:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, caught = scores[order], np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # the last image of each score
    precision = caught[last] / (last + 1)
    return float(np.diff(caught[last], prepend=0) @ precision / total)


def mean_average_precision(probabilities: Array, labels: Array) -> float:
    """Return the average precision: of class 1 of two classes, else the mean of each against the rest."""
    classes = probabilities.shape[1]
    if classes == 2:
        return average_precision(probabilities[:, 1], labels == 1)
    return float(np.mean([average_precision(probabilities[:, c], labels == c) for c in range(classes)]))
