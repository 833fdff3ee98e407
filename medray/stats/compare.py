"""Comparison of two models on the same images: by a score's paired bootstrap, and by McNemar's test."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError, unknown
from medray.stats.bootstrap import interval
from medray.stats.scores import MODES

SIGNIFICANCE = 0.05  # goes with the interval of 95 %
BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """By how much `reference` scores above `other`, on the same images.

    `difference` is the score of `reference` less that of `other`, whichever way is better; `low` and `high`
    are its 95 % interval and `p` is two-sided. Each is None where the score is not defined.
    """

    reference: str
    other: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def compare(
    reference: str,
    other: str,
    metric: str,
    scores: Mapping[str, Mapping[str, float]],
    draws: Mapping[str, Mapping[str, Array]],
) -> Comparison:
    """Compare two models by `metric`, a name in `MODES`.

    `scores` are those of the images themselves, by model and name, and `draws` those of the resamples,
    float (B,), as `medray.stats.bootstrap.bootstrap` returns them. The interval is the percentile one of
    the resampled differences.

    Raises:
        ConfigError: there is no such metric, or no such model in the scores.
        DataError: the two models have not as many resamples.
    """
    if metric not in MODES:
        raise ConfigError(unknown("metric", metric, MODES))
    for model in (reference, other):
        if model not in scores or model not in draws:
            raise ConfigError(unknown("model", model, set(scores) & set(draws)))
    one, two = draws[reference][metric], draws[other][metric]
    if one.shape != two.shape:
        raise DataError(f"'{reference}' has {len(one)} resamples and '{other}' {len(two)}: they can't be paired")
    difference = scores[reference][metric] - scores[other][metric]
    ends = interval(one - two)
    if ends is None or np.isnan(difference):
        return Comparison(reference, other, metric, None, None, None, None)
    return Comparison(reference, other, metric, float(difference), *ends, bootstrap_p(one - two))


def bootstrap_p(differences: Array) -> float:
    """Two-sided p of the hypothesis that two models do not differ, from resampled `differences` (B,).

    Twice the smaller of the shares of resamples at or below 0 and at or above it, at most 1: the level at
    which the percentile interval would end at 0 (Efron & Tibshirani 1993, section 15.4). One resample is
    added to each side, so that p is never 0 (Davison & Hinkley 1997, section 4.2). NaN is left out.

    Raises:
        DataError: no difference is defined.
    """
    defined = differences[~np.isnan(differences)]
    if not len(defined):
        raise DataError("no resample in which both models have a score: there is no p")
    rarer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(defined) + 1))


def verdict(comparison: Comparison) -> str:
    """Say whether `reference` is "better" or "worse" than `other`, or that there is "no difference shown".

    A difference is shown where p is at most 0.05 and the 95 % interval leaves out 0. Of a score whose mode
    is "min", such as log_loss, less is better.

    Raises:
        ConfigError: there is no such metric.
    """
    if comparison.metric not in MODES:
        raise ConfigError(unknown("metric", comparison.metric, MODES))
    low, high, p = comparison.low, comparison.high, comparison.p
    if low is None or high is None or p is None or low <= 0 <= high or p > SIGNIFICANCE:
        return NOT_SHOWN
    return BETTER if (low > 0) == (MODES[comparison.metric] == "max") else WORSE


@dataclass(frozen=True)
class McNemar:
    """Images that only one of two models has right, and the two-sided p that this is chance."""

    only_a: int
    only_b: int
    p: float


def mcnemar(correct_a: Array, correct_b: Array) -> McNemar:
    """Test whether two models are right equally often; `correct_a` and `correct_b` are bool (N,).

    The exact binomial form of McNemar (1947): of the images that only one of them has right, each has half.
    It takes the images to be independent, so where patients have several it makes too much of them.

    Raises:
        DataError: the two are not bool, not of one length, or empty.
    """
    for correct in (correct_a, correct_b):
        if correct.dtype != np.bool_ or correct.ndim != 1 or not len(correct):
            raise DataError(f"correct is {correct.dtype} {correct.shape}, not bool (N,) of at least one image")
    if len(correct_a) != len(correct_b):
        raise DataError(f"{len(correct_a)} and {len(correct_b)} images: the models' images must be the same")
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    if not only_a + only_b:
        return McNemar(0, 0, 1.0)
    from scipy.stats import binomtest

    return McNemar(only_a, only_b, float(binomtest(only_a, only_a + only_b, 0.5).pvalue))
