"""Comparison of two models on the same images, by the paired bootstrap of a score and by McNemar's test."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError, unknown_choice_line
from medray.json_document import JsonDocument
from medray.stats.bootstrap import percentile_interval
from medray.stats.scores import MODES

SIGNIFICANCE = 0.05  # goes with the interval of 95 %
BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"


@dataclass(frozen=True)
class PairedComparison(JsonDocument):
    """The difference of two models' scores on the same images.

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

    @property
    def value(self) -> float | None:
        """The difference, which `low` and `high` enclose: the name that it has in an `Estimate`."""
        return self.difference


def compare_models(
    reference: str,
    other: str,
    metric: str,
    scores: Mapping[str, Mapping[str, float]],
    draws: Mapping[str, Mapping[str, Array]],
) -> PairedComparison:
    """Compare two models by `metric`, a name in `MODES`.

    `scores` are those of the images themselves, by model and name, and `draws` those of the resamples,
    float (B,), as `medray.stats.bootstrap.bootstrap` returns them. The interval is the percentile interval of
    the resampled differences.

    Raises:
        ConfigError: there is no such metric, or no such model in the scores.
        DataError: the two models' numbers of resamples differ.
    """
    if metric not in MODES:
        raise ConfigError(unknown_choice_line("metric", metric, MODES))
    for model in (reference, other):
        if model not in scores or model not in draws:
            raise ConfigError(unknown_choice_line("model", model, set(scores) & set(draws)))
    a, b = draws[reference][metric], draws[other][metric]
    if a.shape != b.shape:
        raise DataError(f"'{reference}' has {len(a)} resamples and '{other}' {len(b)}: they can't be paired")
    difference = scores[reference][metric] - scores[other][metric]
    ends = percentile_interval(a - b)
    if ends is None or np.isnan(difference):
        return PairedComparison(reference, other, metric, None, None, None, None)
    return PairedComparison(reference, other, metric, float(difference), *ends, bootstrap_p(a - b))


def bootstrap_p(differences: Array) -> float:
    """Return the two-sided p of the hypothesis that two models do not differ, from resampled `differences` (B,).

    It is twice the smaller of the shares of resamples at or below 0 and at or above 0, at most 1: the level at
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


def verdict(comparison: PairedComparison) -> str:
    """Return whether `reference` is `BETTER` or `WORSE` than `other`, or `NOT_SHOWN`.

    A difference is shown where p is at most 0.05 and the 95 % interval excludes 0. For a score whose mode
    is "min", such as log_loss, less is better.

    Raises:
        ConfigError: there is no such metric.
    """
    if comparison.metric not in MODES:
        raise ConfigError(unknown_choice_line("metric", comparison.metric, MODES))
    low, high, p = comparison.low, comparison.high, comparison.p
    if low is None or high is None or p is None or low <= 0 <= high or p > SIGNIFICANCE:
        return NOT_SHOWN
    return BETTER if (low > 0) == (MODES[comparison.metric] == "max") else WORSE


@dataclass(frozen=True)
class McNemar:
    """The numbers of images that only one of two models predicts correctly, and McNemar's two-sided p."""

    only_a: int
    only_b: int
    p: float


def mcnemar(correct_a: Array, correct_b: Array) -> McNemar:
    """Test whether two models are correct equally often; `correct_a` and `correct_b` are bool (N,).

    The exact binomial form of McNemar (1947): under the hypothesis, of the images that only one model predicts
    correctly each model has half. It assumes independent images: where patients have several, p is too small.

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
