"""The calibration curve of a class: how often images of a probability are of it, in bins and as a smooth line."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE
from medray.stats.calibration_slope import log_odds
from medray.stats.events import Event
from medray.stats.logistic import fit_logistic
from medray.stats.patients import group_numbers, too_few_cases
from medray.stats.rates import Proportion, check_scores, share_of
from medray.stats.validate import check_confidence

MOST_BINS = 10
IN_A_BIN = 20  # images, or patients, for each bin of a curve
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
class CalibrationCurve(JsonDocument):
    """The calibration curve of an `event`; `smooth` is empty where it can't be fitted."""

    event: Event
    bins: tuple[CalibrationBin, ...]
    smooth: tuple[CurvePoint, ...]

    @classmethod
    def of(cls, event: Event, scores: Array, having: Array, groups: Array | None = None) -> "CalibrationCurve":
        """Return the curve of the event's probabilities `scores` (N,) for images `having` it or not, bool (N,).

        There is a bin for each `IN_A_BIN` images, or patients of `groups` (N,) where known, at most `MOST_BINS`.

        Raises:
            DataError: the scores can't be used, or a patient is missing.
        """
        units = len(scores) if groups is None else len(np.unique(group_numbers(groups, len(scores))))
        bins = min(MOST_BINS, max(1, units // IN_A_BIN))
        return cls(
            event,
            tuple(calibration_bins(scores, having, bins=bins, groups=groups)),
            tuple(smooth_curve(scores, having, groups)),
        )


def calibration_bins(
    scores: Array,
    positive: Array,
    *,
    bins: int = MOST_BINS,
    groups: Array | None = None,
    confidence: float = CONFIDENCE,
) -> list[CalibrationBin]:
    """Return the calibration curve of scores (N,) by quantiles: bins of as many images each, ascending.

    `positive` bool (N,) are the images of the class, `groups` (N,) the patient of each image where known. Images
    of equal score are never parted, so there may be fewer bins. The intervals are those of
    `medray.stats.rates.share_of`.

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
    2.4), with pointwise intervals over patients where known. Empty where it can't be fitted: fewer than
    `medray.stats.patients.ENOUGH_CASES` positives or others (patients with such, where known), scores that
    separate them without fail, or fewer than three different scores at the knots.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: scores or positive can't be used, or a patient is missing.
    """
    scores, positive = check_scores(scores, positive)
    check_confidence(confidence)
    clusters = np.arange(len(scores)) if groups is None else group_numbers(groups, len(scores))
    odds = log_odds(scores)
    knots = np.quantile(odds, KNOTS)
    if too_few_cases(positive.astype(np.int64), 2, groups) or len(set(knots.tolist())) < len(KNOTS):
        return []
    fit = fit_logistic(_spline(odds, knots), positive, clusters)
    if fit is None:
        return []
    from scipy.special import expit

    first, last = (float(np.quantile(odds, q)) for q in (0.01, 0.99))
    grid = np.linspace(first, last, GRID)
    bands = fit.band(_spline(grid, knots), confidence)
    if not np.isfinite(bands).all():  # a left-out patient separates the rest
        return []
    columns = [expit(grid), *map(expit, bands)]
    return [CurvePoint(*map(float, row)) for row in zip(*columns, strict=True)]


def _spline(odds: Array, knots: Array) -> Array:
    """Return the design (n, 3) of a restricted cubic spline with three knots: 1, x, and one cubic term."""
    low, middle, high = knots
    cubes = [np.clip(odds - knot, 0, None) ** 3 for knot in (low, middle, high)]
    bend = cubes[0] - cubes[1] * (high - low) / (high - middle) + cubes[2] * (middle - low) / (high - middle)
    return np.column_stack([np.ones_like(odds), odds, bend / (high - low) ** 2])
