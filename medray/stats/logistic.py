"""Logistic regression of few columns, with intervals that hold where images of a patient are correlated."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array

ROUNDS = 50  # of Newton's method, which needs about six where there is a maximum
TOLERANCE = 1e-10  # of the last step


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """A fitted logistic regression: its `coefficients` (K,), their `covariance` (K, K), and its `clusters`."""

    coefficients: Array
    covariance: Array
    clusters: int

    def band(self, design: Array, confidence: float) -> tuple[Array, Array, Array]:
        """Return the linear predictor of `design` (n, K) and its interval's low and high end, each (n,).

        The interval is of Student's t with one degree of freedom fewer than there are clusters.
        """
        from scipy.stats import t

        centre = design @ self.coefficients
        deviation = np.sqrt(np.einsum("nk,kl,nl->n", design, self.covariance, design))
        reach = float(t.ppf((1 + confidence) / 2, self.clusters - 1)) * deviation
        return centre, centre - reach, centre + reach


def fit_logistic(
    design: Array, positive: Array, clusters: Array, offset: Array | float = 0.0
) -> LogisticFit | None:
    """Return the logistic regression of `positive` bool (N,) on `design` (N, K) with an `offset` to the log-odds.

    `clusters` int (N,) number the patients from 0, or the images where patients are unknown. The covariance is
    that of the jackknife over clusters, each left out by one step of Newton's method (Bell & McCaffrey 2002, CR3):
    it holds where images of a patient are correlated, and where the model's form is wrong.

    Returns None where there is no maximum: positives and negatives that a line separates, columns that depend on
    each other, or everything that tells them from each other in one cluster.
    """
    coefficients = np.zeros(design.shape[1])
    try:
        for _ in range(ROUNDS):
            probabilities = _sigmoid(design @ coefficients + offset)
            weights = probabilities * (1 - probabilities)
            residuals = positive - probabilities
            step = np.linalg.solve(design.T @ (design * weights[:, None]), design.T @ residuals)
            length = float(np.abs(step).max())
            coefficients = coefficients + step / max(1.0, length / 2)  # far steps overshoot
            if length < TOLERANCE:
                break
        else:
            return None
        covariance = _jackknife(design, weights, residuals, clusters)
    except np.linalg.LinAlgError:
        return None
    return LogisticFit(coefficients, covariance, int(clusters.max()) + 1)


def _jackknife(design: Array, weights: Array, residuals: Array, clusters: Array) -> Array:
    """Return the covariance (K, K) of the coefficients by leaving out each cluster in turn."""
    count, columns = int(clusters.max()) + 1, design.shape[1]
    if count <= columns:
        raise np.linalg.LinAlgError("too few clusters")
    products = weights[:, None, None] * design[:, :, None] * design[:, None, :]
    information, scores = np.zeros((count, columns, columns)), np.zeros((count, columns))
    np.add.at(information, clusters, products)
    np.add.at(scores, clusters, residuals[:, None] * design)
    changes = np.linalg.solve(information.sum(axis=0) - information, scores[:, :, None])[:, :, 0]
    covariance: Array = (count - 1) / count * changes.T @ changes
    return covariance


def _sigmoid(values: Array) -> Array:
    from scipy.special import expit

    result: Array = expit(values)
    return result
