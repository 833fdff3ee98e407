"""Evidence that may be looked at again and again: confidence sequences and e-values of a stream of outcomes.

A test that is repeated each day is wrong on some day, sooner or later. These keep their error rate over all looks
together (Ville 1939): an e-value is the wealth of a bettor against the hypothesis, which under it exceeds
1 / alpha with a probability of at most alpha, ever (Ramdas et al. 2023). One may look at any time, also at times
that depend on the outcomes. Those of one patient count as independent, and which images have an outcome must not
depend on what it is.
"""

import math
from collections.abc import Sequence

import numpy as np

from medray._types import Array
from medray.errors import DataError

ALPHA = 0.05
#: Shifts of the log odds against which calibration bets, beyond the tolerated one.
SHIFTS = (0.25, 0.5, 1.0, 2.0)
TOLERATED = 0.25  # in log odds: 0.5 for 0.56, or 0.10 for 0.125


def share_sequence(count: int, total: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the ends of a confidence sequence of a share: at all times together it holds it with 1 - `alpha`.

    It has the shares p against which the mixture of all alternatives, uniform on 0 to 1, has not won 1 / alpha
    (Robbins 1970): those whose log likelihood is at least that of the mixture, plus log alpha.

    Raises:
        DataError: `count` is not between 0 and `total`.
    """
    from scipy.optimize import brentq
    from scipy.special import betaln

    _check(count, total)
    if total == 0:
        return 0.0, 1.0
    mixture, best = float(betaln(count + 1, total - count + 1)), count / total

    def room(share: float) -> float:
        """The log likelihood above the bound: positive inside the sequence."""
        return _log_likelihood(share, count, total) - mixture - math.log(alpha)

    tiny = 1e-12
    low = 0.0 if count == 0 or room(tiny) > 0 else brentq(room, tiny, best)
    high = 1.0 if count == total or room(1 - tiny) > 0 else brentq(room, best, 1 - tiny)
    return float(low), float(high)


def evidence_below(count: int, total: int, share: float) -> float:
    """Return the e-value against "a share of at least `share`", by `count` of `total`.

    It is the mean, over all lower shares alike, of their likelihood ratio to `share`: each is a supermartingale
    wherever the true share is at least that.

    Raises:
        DataError: `count` is not between 0 and `total`, or `share` not between 0 and 1.
    """
    from scipy.special import betainc, betaln

    _check(count, total)
    if not 0 < share < 1:
        raise DataError(f"a share of {share}: an e-value is against one between 0 and 1")
    a, b = count + 1, total - count + 1
    inside = float(betainc(a, b, share))
    if inside == 0.0:
        return 0.0
    log_value = betaln(a, b) + math.log(inside) - math.log(share) - _log_likelihood(share, count, total)
    return math.exp(min(log_value, 700.0))


def evidence_above(count: int, total: int, share: float) -> float:
    """Return the e-value against "a share of at most `share`", by `count` of `total`; see `evidence_below`."""
    return evidence_below(total - count, total, 1 - share)


def evidence_of_miscalibration(
    probabilities: Array, having: Array, tolerated: float = TOLERATED, shifts: Sequence[float] = SHIFTS
) -> float:
    """Return the e-value against "the log odds of `probabilities` (n,) are right up to a shift of `tolerated`".

    `having` bool (n,) says of which images the event was true. Bets are on shifts beyond the tolerated one, up and
    down, each by its likelihood ratio to the tolerated shift; the e-value is their mean.

    Raises:
        DataError: the arrays differ in length, or a probability is none.
    """
    exact = np.asarray(probabilities, dtype=np.float64)
    if exact.shape != np.shape(having) or exact.ndim != 1:
        raise DataError(f"probabilities are {exact.shape}, outcomes {np.shape(having)}: both must be (n,)")
    if not ((exact >= 0) & (exact <= 1)).all():
        raise DataError("a probability is not between 0 and 1")
    tiny = np.finfo(np.float64).tiny
    odds = np.log(exact.clip(tiny, 1)) - np.log1p(-exact.clip(0, 1 - np.finfo(np.float64).eps))
    sign = np.where(having, 1.0, -1.0)
    logs = []
    for direction in (1, -1):
        fair = -np.logaddexp(0, -sign * (odds + direction * tolerated)).sum()
        for shift in shifts:
            moved = odds + direction * (tolerated + shift)
            logs.append(-np.logaddexp(0, -sign * moved).sum() - fair)
    top = max(logs)
    return math.exp(min(700.0, top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))))


def _log_likelihood(share: float, count: int, total: int) -> float:
    lost = total - count
    return (count * math.log(share) if count else 0.0) + (lost * math.log1p(-share) if lost else 0.0)


def _check(count: int, total: int) -> None:
    if not 0 <= count <= total:
        raise DataError(f"{count} of {total}: a share is of 0 to all of them")
