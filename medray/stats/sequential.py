"""Evidence that may be looked at again and again: confidence sequences and e-values of a stream of outcomes.

A test that is repeated each day is wrong on some day, sooner or later. These keep their error rate over all looks
together (Ville 1939): an e-value is the wealth of a bettor against the hypothesis, which under it exceeds
1 / alpha with a probability of at most alpha, ever (Ramdas et al. 2023). One may look at any time, also at times
that depend on the outcomes.

Values are numbers from 0 to 1, one for each patient, and each is one bet: of an image that is a hit or not they
are 1 or 0, of a patient with several images their mean. Only patients are independent; a patient's value must not
change once it was looked at, and which images have an outcome must not depend on what it is.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from medray._types import Array
from medray.errors import DataError

ALPHA = 0.05
#: Shifts of the log odds against which calibration bets, beyond the tolerated one.
SHIFTS = (0.25, 0.5, 1.0, 2.0)
TOLERATED = 0.25  # in log odds: 0.5 for 0.56, or 0.10 for 0.125
BETS = 400  # alternatives that a share is bet on; as dense as fifty thousand values can tell apart
DIGITS = 6  # of values: means of equal images are equal
PRECISE = 1e-6  # the ends of a sequence


def share_sequence(values: Array, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the ends of a confidence sequence of the mean of `values` (n,) in 0..1, of n patients.

    At all times together it holds the mean with 1 - `alpha`: it has the means against which a bettor, who spreads
    the wealth evenly over all alternatives from 0 to 1, has not won 1 / `alpha` (Robbins 1970; for values between
    0 and 1 Waudby-Smith & Ramdas 2024). The wealth is log-convex in the mean, so that these are an interval.

    Raises:
        DataError: a value is not between 0 and 1.
    """
    from scipy.optimize import brentq

    distinct, counts = _distinct(values)
    if not len(distinct):
        return 0.0, 1.0
    tiny = 1e-12
    middle = float((distinct @ counts / counts.sum()).clip(tiny, 1 - tiny))
    bets, weights = _bets(1.0)

    def room(share: float) -> float:
        """Negative where the bettor has won: outside the sequence."""
        return -math.log(alpha) - _log_wealth(distinct, counts, share, bets, weights)

    low = 0.0 if room(tiny) > 0 else brentq(room, tiny, middle, xtol=PRECISE)
    high = 1.0 if room(1 - tiny) > 0 else brentq(room, middle, 1 - tiny, xtol=PRECISE)
    return float(low), float(high)


def evidence_below(values: Array, share: float) -> float:
    """Return the e-value against "the mean is at least `share`", by `values` (n,) in 0..1 of n patients.

    A bet on a lower share q multiplies the wealth by x q / share + (1 - x) (1 - q) / (1 - share): of hits and
    misses it is their likelihood ratio, and for all values a supermartingale wherever the mean is at least
    `share`, since it falls with x and is 1 on average at the mean. The e-value is the mean over all q below
    `share` alike.

    Raises:
        DataError: a value is not between 0 and 1, or `share` neither above 0 nor below 1.
    """
    if not 0 < share < 1:
        raise DataError(f"a share of {share}: an e-value is against one between 0 and 1")
    return math.exp(min(_log_wealth(*_distinct(values), share, *_bets(share)), 700.0))


def evidence_path_below(values: Array, share: float) -> Array:
    """Return `evidence_below` after each of `values` (n,) in their order, float64 (n,)."""
    bets, log_weights = _bets(share)
    exact = np.asarray(values, dtype=np.float64)[:, None]
    logs = log_weights + np.cumsum(np.log(_factors(exact, share, bets)), axis=0)
    return _summed(logs)


def evidence_above(values: Array, share: float) -> float:
    """Return the e-value against "the mean is at most `share`", by `values` (n,); see `evidence_below`."""
    return evidence_below(1 - np.asarray(values, dtype=np.float64), 1 - share)


def evidence_of_miscalibration(
    probabilities: Array, having: Array, patients: Array | None = None, *, tolerated: float = TOLERATED,
    shifts: Sequence[float] = SHIFTS,
) -> float:  # fmt: skip
    """Return the e-value against "the log odds of `probabilities` (n,) are right up to a shift of `tolerated`".

    `having` bool (n,) says of which images the event was true, and `patients` (n,) whose they are, all different
    ones if None. Bets are on shifts beyond the tolerated one, up and down: an image's is its likelihood ratio to
    the tolerated shift, a patient's the mean over the images, which is at most 1 on average however they go
    together. The e-value is the mean over the shifts.

    Raises:
        DataError: the arrays differ in length, or a probability is none.
    """
    exact = np.asarray(probabilities, dtype=np.float64)
    if exact.shape != np.shape(having) or exact.ndim != 1:
        raise DataError(f"probabilities are {exact.shape}, outcomes {np.shape(having)}: both must be (n,)")
    if not ((exact >= 0) & (exact <= 1)).all():
        raise DataError("a probability is not between 0 and 1")
    logs = _shift_logs(exact, np.asarray(having), patients, tolerated, shifts).sum(axis=0)
    return float(_summed(logs[None] - math.log(len(logs)))[0])


def miscalibration_path(
    probabilities: Array, having: Array, patients: Array, *, tolerated: float = TOLERATED,
    shifts: Sequence[float] = SHIFTS,
) -> Array:  # fmt: skip
    """Return `evidence_of_miscalibration` after each of m patients, by rising number, float64 (m,)."""
    logs = _shift_logs(probabilities, having, patients, tolerated, shifts)
    return _summed(np.cumsum(logs, axis=0) - math.log(logs.shape[1]))


def _shift_logs(
    probabilities: Array, having: Array, patients: Array | None, tolerated: float, shifts: Sequence[float]
) -> Array:
    """Return the logarithm of each patient's mean likelihood ratio, by rising number, for each shift."""
    tiny = np.finfo(np.float64).tiny
    odds = np.log(probabilities.clip(tiny, 1)) - np.log1p(-probabilities.clip(0, 1 - np.finfo(np.float64).eps))
    sign = np.where(having, 1.0, -1.0)
    index = np.arange(len(odds)) if patients is None else np.unique(patients, return_inverse=True)[1]
    images, logs = np.bincount(index), []
    for direction in (1, -1):
        fair = -np.logaddexp(0, -sign * (odds + direction * tolerated))
        for shift in shifts:
            moved = -np.logaddexp(0, -sign * (odds + direction * (tolerated + shift)))
            logs.append(np.log(np.bincount(index, weights=np.exp(moved - fair)) / images))
    return np.stack(logs, axis=1)


def _distinct(values: Array) -> tuple[Array, Array]:
    """Return the distinct values and how often each is there.

    Raises:
        DataError: one is not between 0 and 1.
    """
    distinct, counts = np.unique(np.round(np.asarray(values, dtype=np.float64), DIGITS), return_counts=True)
    if len(distinct) and not (distinct[0] >= 0 and distinct[-1] <= 1):  # NaN is the last
        raise DataError("a value is not between 0 and 1: a share is of 0 to all of them")
    return distinct, counts


@lru_cache(64)
def _bets(most: float) -> tuple[Array, Array]:
    """Return shares between 0 and `most`, denser at both ends, and the logarithm of the weight of each.

    Together the weights are spread evenly over 0 to `most`.
    """
    angles = (np.arange(BETS) + 0.5) / BETS * np.pi / 2
    weights = np.sin(2 * angles)
    return most * np.sin(angles) ** 2, np.log(weights / weights.sum())


def _log_wealth(distinct: Array, counts: Array, share: float, bets: Array, log_weights: Array) -> float:
    """Return the logarithm of the wealth of who bet against a mean of `share` on each of `bets`, by weight."""
    logs, rows = log_weights.copy(), 1000
    for start in range(0, len(distinct), rows):  # so that memory stays bounded
        part = distinct[start : start + rows, None]
        logs += counts[start : start + rows] @ np.log(_factors(part, share, bets))
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).sum()))


def _factors(values: Array, share: float, bets: Array) -> Array:
    """Return by what the wealth on each of `bets` (k,) is multiplied at each of `values` (n, 1), (n, k)."""
    factors: Array = values * (bets / share) + (1 - values) * ((1 - bets) / (1 - share))
    return factors


def _summed(logs: Array) -> Array:
    """Return the sums of the numbers whose logarithms `logs` (n, k) are, at most e ** 700, (n,)."""
    top = logs.max(axis=1)
    sums: Array = np.exp(np.minimum(top + np.log(np.exp(logs - top[:, None]).sum(axis=1)), 700.0))
    return sums
