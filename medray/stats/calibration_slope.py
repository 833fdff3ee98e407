"""Calibration intercept and slope: logistic recalibration of a class's probabilities (Cox 1958).

Both are of the log-odds of one class against the rest. The slope is the coefficient of the log-odds in a logistic
regression of the outcome: 1 is right, below 1 the probabilities are too extreme, as an overfitted model's are. The
intercept, also called calibration in the large, is fitted with the slope held at 1: 0 is right, below 0 the
probabilities are too high on average (Van Calster et al. 2019, "Calibration: the Achilles heel of predictive
analytics"). The third figure is the ratio of observed to expected positives.
"""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE
from medray.stats.interval import Interval
from medray.stats.logistic import fit_logistic
from medray.stats.patients import group_numbers
from medray.stats.rates import check_scores
from medray.stats.validate import check_confidence

SMALLEST = float(np.finfo(np.float32).eps)  # a probability below it has the log-odds of it, as in the log loss


@dataclass(frozen=True)
class Recalibration(JsonDocument):
    """Calibration of one class's probabilities: `intercept` (0 is right) and `slope` (1 is right).

    `observed_to_expected` is the number of positives over the sum of the probabilities. A figure is None where
    it is not defined: no positives or only positives, positives and negatives that the probabilities separate
    without fail, or probabilities that are all the same (no slope).
    """

    intercept: Interval
    slope: Interval
    observed_to_expected: float | None


def recalibrate(
    scores: Array, positive: Array, groups: Array | None = None, confidence: float = CONFIDENCE
) -> Recalibration:
    """Return the calibration intercept and slope of scores (N,), the probabilities of a class.

    `positive` bool (N,) are the images of that class, `groups` (N,) the patient of each image where known. The
    intervals are Wald's with the covariance of a jackknife over patients, or images (`fit_logistic`). Several
    classes are measured one at a time, each against the rest.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: scores or positive can't be used, or a patient is missing.
    """
    scores, positive = check_scores(scores, positive)
    check_confidence(confidence)
    clusters = np.arange(len(scores)) if groups is None else group_numbers(groups, len(scores))
    odds = log_odds(scores)
    ones = np.ones((len(odds), 1))
    expected = float(scores.sum())
    return Recalibration(
        intercept=_last_coefficient(ones, positive, clusters, odds, confidence),
        slope=_last_coefficient(np.column_stack([ones, odds]), positive, clusters, 0.0, confidence),
        observed_to_expected=float(positive.sum()) / expected if expected else None,
    )


def log_odds(scores: Array) -> Array:
    """Return log(p / (1 - p)) of scores (N,) in 0..1, float64; p is kept a float32's epsilon away from 0 and 1."""
    kept = np.clip(scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
    odds: Array = np.log(kept) - np.log1p(-kept)
    return odds


def _last_coefficient(
    design: Array, positive: Array, clusters: Array, offset: Array | float, confidence: float
) -> Interval:
    fit = fit_logistic(design, positive, clusters, offset)
    if fit is None:
        return Interval(None, None, None)
    only_last = np.eye(design.shape[1])[-1:]
    value, low, high = (float(ends[0]) for ends in fit.band(only_last, confidence))
    if not np.isfinite(value):
        return Interval(None, None, None)
    finite = np.isfinite(low) and np.isfinite(high)  # not where a left-out patient separates the rest
    return Interval(value, low if finite else None, high if finite else None)
