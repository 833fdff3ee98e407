"""Likelihood ratios of a yes-or-no decision, and PPV and NPV where cases are more or less frequent than here."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE
from medray.stats.interval import Interval
from medray.stats.patients import group_numbers
from medray.stats.rates import Proportion, Rates, share_of
from medray.stats.validate import check_confidence


@dataclass(frozen=True)
class LikelihoodRatios(JsonDocument):
    """How many times likelier a call (`positive`), and no call (`negative`), is for a case than for another image.

    `positive` is sensitivity / (1 - specificity), `negative` (1 - sensitivity) / specificity. A value or an upper
    end is None where it is infinite; all are None where there are no cases or only cases. `reason` says why there
    are values but no intervals.
    """

    positive: Interval
    negative: Interval
    reason: str | None = None


@dataclass(frozen=True)
class PredictiveValues(JsonDocument):
    """PPV and NPV where a share `prevalence` of the images are cases; None where none is called, or all are."""

    prevalence: float
    ppv: Interval
    npv: Interval


def likelihood_ratios(rates: Rates, confidence: float = CONFIDENCE) -> LikelihoodRatios:
    """Return both likelihood ratios with the score interval of a ratio of two proportions (Koopman 1984).

    Unlike that of the logarithm it exists where a count is 0. It takes images to be independent: with several
    images of a patient it is too narrow, see `likelihood_ratios_by_patient`.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
    """
    cases, others = rates.tp + rates.fn, rates.fp + rates.tn
    return LikelihoodRatios(
        positive=_ratio(rates.tp, cases, rates.fp, others, confidence),
        negative=_ratio(rates.fn, cases, rates.tn, others, confidence),
    )


def likelihood_ratios_by_patient(
    called: Array, positive: Array, groups: Array, confidence: float = CONFIDENCE
) -> LikelihoodRatios:
    """Return both likelihood ratios of the decisions `called` bool (N,) on images of the patients `groups` (N,).

    `positive` bool (N,) are the cases. The intervals join those of the two shares, by the effective number of
    images (`medray.stats.rates.share_of`), to that of their ratio, with the correlation of the two over patients
    who have images of both kinds (Donner & Zou 2012, MOVER-R). There are none where a share has none. Where each
    patient has one image they are those of `likelihood_ratios`.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: the decisions are not bool, or a patient is missing.
    """
    patients = group_numbers(groups, len(called))
    tp, fp = int((called & positive).sum()), int((called & ~positive).sum())
    tn, fn = int((~called & ~positive).sum()), int((~called & positive).sum())
    if patients.max(initial=0) + 1 == len(called) or not (tp + fn and fp + tn):
        return likelihood_ratios(Rates.of(tp, fp, tn, fn), confidence)
    correlation = _correlation(called, positive, patients)
    pairs = [
        [share_of(hits[kind], patients[kind], confidence) for kind in (positive, ~positive)]
        for hits in (called, ~called)
    ]
    of_called, of_rest = (_ratio_of_shares(of_cases, of_others, correlation) for of_cases, of_others in pairs)
    return LikelihoodRatios(of_called, of_rest, pairs[0][0].reason or pairs[0][1].reason)


def predictive_values(rates: Rates, ratios: LikelihoodRatios, prevalence: float) -> PredictiveValues:
    """Return PPV and NPV at another prevalence by Bayes' theorem, with sensitivity and specificity unchanged.

    The intervals are those of the likelihood `ratios` of the same images, as the odds after a decision are the
    odds before it times the ratio; the prevalence is taken as known.

    Raises:
        ConfigError: the prevalence is not between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise ConfigError(f"prevalence is {prevalence}; it must lie between 0 and 1")
    odds = prevalence / (1 - prevalence)
    if not (rates.tp + rates.fn and rates.fp + rates.tn):
        nothing = Interval(None, None, None)
        return PredictiveValues(prevalence, nothing, nothing)

    def after(ratio: float | None) -> float:
        return 1.0 if ratio is None else odds * ratio / (1 + odds * ratio)

    def share(ratio: Interval, images: int) -> Interval:
        value = after(ratio.value) if images else None
        return Interval(value, *(after(end) if ratio.low is not None else None for end in (ratio.low, ratio.high)))

    of_called, of_rest = share(ratios.positive, rates.tp + rates.fp), share(ratios.negative, rates.tn + rates.fn)
    turned = (None if end is None else 1 - end for end in (of_rest.value, of_rest.high, of_rest.low))
    return PredictiveValues(prevalence, of_called, Interval(*turned))


def _correlation(called: Array, positive: Array, patients: Array) -> float:
    """Return the correlation, over patients, of the shares of cases and of others that are called."""
    residuals = [
        np.bincount(patients, weights=kind * (called - called[kind].mean())) for kind in (positive, ~positive)
    ]
    size = math.sqrt(math.prod(float(r @ r) for r in residuals))
    return float(residuals[0] @ residuals[1]) / size if size else 0.0


def _ratio_of_shares(share: Proportion, other: Proportion, correlation: float) -> Interval:
    """Return share / other with its interval by MOVER-R (Donner & Zou 2012).

    An end R is where |share - R * other| is as large as its reach, which joins those of the two shares: a root of
    a R² - 2 b R + c = 0.
    """
    p, q = share.value or 0.0, other.value or 0.0
    value = p / q if q else None
    if share.low is None or share.high is None or other.low is None or other.high is None:
        return Interval(value, None, None)

    def equation(reach: float, other_reach: float) -> tuple[float, float, float, float]:
        a, b, c = q**2 - other_reach**2, p * q - correlation * reach * other_reach, p**2 - reach**2
        return a, b, c, math.sqrt(max(b**2 - a * c, 0.0))

    _, b, c, size = equation(p - share.low, other.high - q)
    low = max(c, 0.0) / (b + size) if p and b + size > 0 else 0.0
    a, b, _, size = equation(share.high - p, q - other.low)
    high = (b + size) / a if q and a > 0 else None
    if value is None:
        return Interval(None, low, None)
    return Interval(value, min(low, value), None if high is None else max(high, value))


def _ratio(count: int, total: int, other_count: int, other_total: int, confidence: float) -> Interval:
    """Return (count / total) / (other_count / other_total) with Koopman's interval."""
    check_confidence(confidence)
    if not total or not other_total:
        return Interval(None, None, None)
    if not count and not other_count:
        return Interval(None, 0.0, None)
    value = (count / total) / (other_count / other_total) if other_count else None
    from scipy.stats import norm

    critical = float(norm.ppf((1 + confidence) / 2))

    def excess(logarithm: float) -> float:
        return _score(math.exp(logarithm), count, total, other_count, other_total) - critical**2

    estimate = math.log(value) if value else None
    low = _crossing(excess, estimate, -1) if count else 0.0
    high = _crossing(excess, estimate, +1) if other_count else None
    return Interval(value, low, high)


def _score(ratio: float, count: int, total: int, other_count: int, other_total: int) -> float:
    """Return the score statistic of a ratio: Pearson's chi-square at the likeliest pair of proportions of it.

    The likeliest share p of the others solves a quadratic (Koopman 1984, equation 2.2); that of the cases is
    ratio * p.
    """
    a = ratio * (total + other_total)
    b = -(ratio * (total + other_count) + count + other_total)
    c = count + other_count
    share = 2 * c / (-b + math.sqrt(max(b * b - 4 * a * c, 0.0)))  # the smaller root, without cancellation
    expected = min(ratio * share, 1.0)
    statistic = 0.0
    for number, of, p in ((count, total, expected), (other_count, other_total, share)):
        variance = of * p * (1 - p)
        if variance > 0:
            statistic += (number - of * p) ** 2 / variance
        elif abs(number - of * p) > 1e-9 * of:
            return math.inf
    return statistic


def _crossing(excess: Callable[[float], float], start: float | None, direction: int) -> float:
    """Return the ratio at which `excess`, a function of its logarithm, passes 0 on one side of the estimate."""
    from scipy.optimize import brentq

    inner = -40.0 * direction if start is None else start  # the estimate is 0 or infinite: come from near it
    outer = inner + direction
    while excess(outer) < 0:
        outer += direction
    return math.exp(brentq(excess, inner, outer, xtol=1e-12))
