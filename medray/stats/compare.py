"""Comparison of two models on the same images: a paired test of each score, and Holm's correction of a family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError, unknown_choice_line
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE, percentile_interval
from medray.stats.influence import difference
from medray.stats.label_set_predictions import AnyPredictions
from medray.stats.patients import group_numbers
from medray.stats.score_intervals import score_influence
from medray.stats.score_names import MODES

SIGNIFICANCE = 0.05  # goes with the interval of 95 %
BETTER, WORSE, NOT_SHOWN, NOT_TESTED = "better", "worse", "no difference shown", "not tested"
DELONG, MCNEMAR, STUDENT, BOOTSTRAP = "DeLong", "McNemar", "Student's t", "bootstrap"


@dataclass(frozen=True)
class PairedComparison(JsonDocument):
    """The difference of two models' scores on the same images.

    `difference` is the score of `reference` less that of `other`, whichever way is better; `low` and `high`
    are its 95 % interval, `p` is two-sided and that of `test`, `bootstrap_p` that of the bootstrap. Each is None
    where it is not defined, or where cases or patients are too few.
    """

    reference: str
    other: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    test: str
    bootstrap_p: float | None

    @property
    def value(self) -> float | None:
        """The difference, which `low` and `high` enclose: the name that it has in an `Estimate`."""
        return self.difference


def compare_models(
    reference: str,
    other: str,
    metric: str,
    models: Mapping[str, AnyPredictions],
    draws: Mapping[str, Mapping[str, Array]] | None,
    groups: Array | None = None,
) -> PairedComparison:
    """Compare two of the `models` by `metric`, a name in `MODES` that they have.

    `draws` are their scores on resamples, float (B,), as `medray.stats.bootstrap.bootstrap` returns them; without
    them there is no p of the bootstrap, and nothing for the calibration error. `groups` (N,) are the patients
    where known. AUC is tested as by DeLong et al. (1988), with patients Obuchowski (1997); accuracy and exact
    match by `mcnemar`; other scores by Student's t of their influences too, but the calibration error, which has
    none, by the bootstrap.

    Raises:
        ConfigError: there is no such metric, or no such model.
        DataError: the two models' numbers of resamples differ, or a patient is missing.
    """
    if metric not in MODES:
        raise ConfigError(unknown_choice_line("metric", metric, MODES))
    for model in (reference, other):
        known = set(models) if draws is None else set(models) & set(draws)
        if model not in known:
            raise ConfigError(unknown_choice_line("model", model, known))
    value = models[reference].scores()[metric] - models[other].scores()[metric]
    ends, by_bootstrap = None, None
    if draws is not None:
        a, b = draws[reference][metric], draws[other][metric]
        if a.shape != b.shape:
            raise DataError(f"'{reference}' has {len(a)} resamples and '{other}' {len(b)}: they can't be paired")
        ends = None if np.isnan(value) else percentile_interval(a - b)
        by_bootstrap = None if ends is None else bootstrap_p(a - b)
    if metric == "calibration_error":
        test = BOOTSTRAP
        low, high, p = (None, None, None) if ends is None else (*ends, by_bootstrap)
    else:
        test = {"auc": DELONG, "auc_micro": DELONG, "accuracy": MCNEMAR, "exact_match": MCNEMAR}.get(
            metric, STUDENT
        )
        low, high, p = _paired_test(metric, models[reference], models[other], groups)
        by_bootstrap = None if p is None else by_bootstrap  # of few cases it says no more
    shown = None if np.isnan(value) else float(value)
    return PairedComparison(reference, other, metric, shown, low, high, p, test, by_bootstrap)


def _paired_test(
    metric: str, reference: AnyPredictions, other: AnyPredictions, groups: Array | None
) -> tuple[float | None, float | None, float | None]:
    """Return the interval of the difference, and p; all None where cases or patients are too few."""
    a, b = score_influence(metric, reference, groups), score_influence(metric, other, groups)
    if isinstance(a, str) or isinstance(b, str):
        return None, None, None
    result = difference(a, b, CONFIDENCE)
    if result is None:
        return None, None, None
    p = mcnemar(reference.correct, other.correct, groups).p if metric in ("accuracy", "exact_match") else result.p
    return result.low, result.high, p


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return the p-values of a family, adjusted so that it is wrong as seldom as a single test (Holm 1979).

    The smallest of n is multiplied by n, the next by n - 1, and so on; none is below the one before. A None stays
    so and does not count.
    """
    order = sorted((value, i) for i, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (value, i) in enumerate(order):
        largest = max(largest, min(1.0, value * (len(order) - rank)))
        adjusted[i] = largest
    return adjusted


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


def verdict(comparison: PairedComparison, adjusted_p: float | None) -> str:
    """Return whether `reference` is `BETTER` or `WORSE` than `other`, or `NOT_SHOWN`; `NOT_TESTED` without a p.

    A difference is shown where `adjusted_p` is at most 0.05 and the 95 % interval excludes 0. For a score whose
    mode is "min", such as log_loss, less is better.

    Raises:
        ConfigError: there is no such metric.
    """
    if comparison.metric not in MODES:
        raise ConfigError(unknown_choice_line("metric", comparison.metric, MODES))
    low, high = comparison.low, comparison.high
    if low is None or high is None or adjusted_p is None:
        return NOT_TESTED
    if low <= 0 <= high or adjusted_p > SIGNIFICANCE:
        return NOT_SHOWN
    return BETTER if (low > 0) == (MODES[comparison.metric] == "max") else WORSE


@dataclass(frozen=True)
class McNemar:
    """The numbers of images that only one of two models predicts correctly, and McNemar's two-sided p."""

    only_a: int
    only_b: int
    p: float


def mcnemar(correct_a: Array, correct_b: Array, groups: Array | None = None) -> McNemar:
    """Test whether two models are correct equally often; `correct_a` and `correct_b` are bool (N,).

    The exact form of McNemar (1947): under the hypothesis, the models' answers to an image could as well be
    exchanged. With `groups` (N,), the patient of each image, those to all images of a patient are exchanged.

    Raises:
        DataError: the two are not bool, not of one length, or empty, or a patient is missing.
    """
    for correct in (correct_a, correct_b):
        if correct.dtype != np.bool_ or correct.ndim != 1 or not len(correct):
            raise DataError(f"correct is {correct.dtype} {correct.shape}, not bool (N,) of at least one image")
    if len(correct_a) != len(correct_b):
        raise DataError(f"{len(correct_a)} and {len(correct_b)} images: the models' images must be the same")
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    ahead = correct_a.astype(np.int64) - correct_b
    if groups is not None:
        ahead = np.bincount(group_numbers(groups, len(ahead)), weights=ahead).astype(np.int64)
    return McNemar(only_a, only_b, _even_signs_p(ahead))


def _even_signs_p(ahead: Array) -> float:
    """Return the chance that the sum of whole numbers with random signs is as far from 0 as that of `ahead`.

    Of each size the number of plus signs is binomial; the sums of the sizes are convolved, so that p is exact.
    """
    from scipy.stats import binom

    sizes, counts = np.unique(np.abs(ahead[ahead != 0]), return_counts=True)
    chances = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        spaced = np.zeros(size * count + 1)  # by half the sum, from the lowest
        spaced[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, spaced)
    sums = 2 * np.arange(len(chances)) - (len(chances) - 1)
    return min(1.0, float(chances[np.abs(sums) >= abs(int(ahead.sum()))].sum()))
