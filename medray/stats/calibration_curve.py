"""Calibration curves with intervals, and the calibration error that chance alone gives."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE
from medray.stats.calibration_slope import log_odds
from medray.stats.logistic import fit_logistic
from medray.stats.metrics import BINS, calibration_error, confidence_bins
from medray.stats.patients import group_numbers
from medray.stats.rates import Proportion, check_scores, share_of
from medray.stats.validate import check_labelled

CURVE_BINS = 10
GRID = 50  # points of the smooth curve
KNOTS = (0.1, 0.5, 0.9)  # quantiles of the log-odds (Harrell 2015, section 2.4.6: three knots)


@dataclass(frozen=True)
class CalibrationBin(JsonDocument):
    """Images of similar probability: `mean` is their mean probability, `observed` the share that is positive."""

    mean: float
    observed: Proportion


@dataclass(frozen=True)
class CurvePoint(JsonDocument):
    """A point of the smooth curve: the share of positives expected at probability `score`, with its interval."""

    score: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class ChanceError(JsonDocument):
    """A calibration error beside what chance alone gives.

    `mean` and `high`, the 95th percentile, are of a perfectly calibrated model with the same probabilities;
    `p` is the share of its draws, the images themselves counted as one, that are at least as far off.
    """

    value: float
    mean: float
    high: float
    p: float


def calibration_bins(
    scores: Array,
    positive: Array,
    *,
    bins: int = CURVE_BINS,
    groups: Array | None = None,
    confidence: float = CONFIDENCE,
) -> list[CalibrationBin]:
    """Return the calibration curve of scores (N,) by quantiles: bins of as many images each, ascending.

    `positive` bool (N,) are the images of the class, `groups` (N,) the patient of each image where known. Images
    of equal score are never parted, so there may be fewer bins. The intervals are exact (Clopper & Pearson 1934);
    with patients, of the effective number of images.

    Raises:
        ConfigError: `bins` is below 1, or the confidence is not between 0 and 1.
        DataError: scores or positive can't be used, or a patient is missing.
    """
    if bins < 1:
        raise ConfigError(f"bins is {bins}; there must be at least one")
    scores, positive = check_scores(scores, positive)
    patients = None if groups is None else group_numbers(groups, len(scores))
    values, counts = np.unique(scores, return_counts=True)
    middles = np.cumsum(counts) - counts / 2  # a value belongs to the bin that holds the middle of its images
    bin_of_value = np.minimum((middles * bins / len(scores)).astype(int), bins - 1)
    bin_of = bin_of_value[np.searchsorted(values, scores)]
    return [
        CalibrationBin(
            float(scores[rows].mean()),
            share_of(positive[rows], None if patients is None else patients[rows], confidence),
        )
        for rows in (np.flatnonzero(bin_of == b) for b in np.unique(bin_of_value))
    ]


def smooth_curve(
    scores: Array, positive: Array, groups: Array | None = None, confidence: float = CONFIDENCE
) -> list[CurvePoint]:
    """Return the smooth calibration curve of scores (N,), at `GRID` scores between its 1st and 99th percentile.

    A logistic regression on a restricted cubic spline of the log-odds with three knots (Harrell 2015, section
    2.4), with pointwise intervals over patients where known. Empty where it can't be fitted: no positives or no
    negatives, scores that separate them without fail, or fewer than three different scores at the knots.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: scores or positive can't be used, or a patient is missing.
    """
    scores, positive = check_scores(scores, positive)
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence is {confidence}; it must lie between 0 and 1")
    clusters = np.arange(len(scores)) if groups is None else group_numbers(groups, len(scores))
    odds = log_odds(scores)
    knots = np.quantile(odds, KNOTS)
    if len(set(knots.tolist())) < len(KNOTS):
        return []
    fit = fit_logistic(_spline(odds, knots), positive, clusters)
    if fit is None:
        return []
    from scipy.special import expit

    first, last = (float(np.quantile(odds, q)) for q in (0.01, 0.99))
    grid = np.linspace(first, last, GRID)
    columns = [expit(grid), *(expit(ends) for ends in fit.band(_spline(grid, knots), confidence))]
    return [CurvePoint(*map(float, row)) for row in zip(*columns, strict=True)]


def chance_calibration_error(
    probabilities: Array, labels: Array, *, draws: int = 1000, seed: int = 0, bins: int = BINS
) -> ChanceError:
    """Return the expected calibration error of probabilities (N, classes) beside what chance alone gives.

    Even a perfectly calibrated model has gaps between confidence and accuracy, as each bin holds few images. Such
    a model is drawn: every label anew from the probabilities themselves, independently (consistency resampling,
    Bröcker & Smith 2007). Images of one patient resemble each other, so chance gives still more than is said here.

    Raises:
        ConfigError: `draws` is below 1, or the seed is negative.
        DataError: the probabilities or labels can't be used.
    """
    if draws < 1 or seed < 0:
        raise ConfigError(f"{draws} draws with seed {seed}; at least 1 draw and a seed of 0 or more are needed")
    exact, labels = check_labelled(probabilities, labels)
    confidence = exact.max(axis=1)
    indices = confidence_bins(np.asarray(probabilities).max(axis=1), bins)
    totals = np.bincount(indices, weights=confidence)
    rng = np.random.default_rng(seed)
    errors = np.empty(draws)
    for draw in range(draws):
        correct = rng.random(len(confidence)) < confidence
        errors[draw] = np.abs(totals - np.bincount(indices, weights=correct)).sum() / len(confidence)
    value = calibration_error(np.asarray(probabilities), labels, bins)
    p = (1 + int((errors >= value).sum())) / (1 + draws)
    return ChanceError(value, float(errors.mean()), float(np.quantile(errors, 0.95)), p)


def _spline(odds: Array, knots: Array) -> Array:
    """Return the design (n, 3) of a restricted cubic spline with three knots: 1, x, and one cubic term."""
    low, middle, high = knots
    cubes = [np.clip(odds - knot, 0, None) ** 3 for knot in (low, middle, high)]
    bend = cubes[0] - cubes[1] * (high - low) / (high - middle) + cubes[2] * (middle - low) / (high - middle)
    return np.column_stack([np.ones_like(odds), odds, bend / (high - low) ** 2])
