"""Likelihood ratios of a yes-or-no decision, and PPV and NPV where cases are more or less frequent than here."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from medray.errors import ConfigError
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE
from medray.stats.interval import Interval
from medray.stats.rates import Rates
from medray.stats.validate import check_confidence


@dataclass(frozen=True)
class LikelihoodRatios(JsonDocument):
    """How many times likelier a call (`positive`), and no call (`negative`), is for a case than for another image.

    `positive` is sensitivity / (1 - specificity), `negative` (1 - sensitivity) / specificity. A value or an upper
    end is None where it is infinite; all are None where there are no cases or only cases.
    """

    positive: Interval
    negative: Interval


@dataclass(frozen=True)
class PredictiveValues(JsonDocument):
    """PPV and NPV where a share `prevalence` of the images are cases; None where none is called, or all are."""

    prevalence: float
    ppv: Interval
    npv: Interval


def likelihood_ratios(rates: Rates, confidence: float = CONFIDENCE) -> LikelihoodRatios:
    """Return both likelihood ratios with the score interval of a ratio of two proportions (Koopman 1984).

    Unlike that of the logarithm it exists where a count is 0. It takes images to be independent: with several
    images of a patient it is too narrow.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
    """
    cases, others = rates.tp + rates.fn, rates.fp + rates.tn
    return LikelihoodRatios(
        positive=_ratio(rates.tp, cases, rates.fp, others, confidence),
        negative=_ratio(rates.fn, cases, rates.tn, others, confidence),
    )


def predictive_values(rates: Rates, prevalence: float, confidence: float = CONFIDENCE) -> PredictiveValues:
    """Return PPV and NPV at another prevalence by Bayes' theorem, with sensitivity and specificity unchanged.

    The intervals are those of the likelihood ratios, as the odds after a decision are the odds before it times the
    ratio; the prevalence is taken as known.

    Raises:
        ConfigError: the prevalence or the confidence is not between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise ConfigError(f"prevalence is {prevalence}; it must lie between 0 and 1")
    ratios, odds = likelihood_ratios(rates, confidence), prevalence / (1 - prevalence)
    if not (rates.tp + rates.fn and rates.fp + rates.tn):
        nothing = Interval(None, None, None)
        return PredictiveValues(prevalence, nothing, nothing)

    def after(ratio: float | None) -> float:
        return 1.0 if ratio is None else odds * ratio / (1 + odds * ratio)

    ppv, npv = ratios.positive, ratios.negative
    return PredictiveValues(
        prevalence,
        Interval(after(ppv.value) if rates.tp + rates.fp else None, after(ppv.low), after(ppv.high)),
        Interval(1 - after(npv.value) if rates.tn + rates.fn else None, 1 - after(npv.high), 1 - after(npv.low)),
    )


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
