"""Likelihood ratios and predictive values: scikit-learn, Bayes' theorem, and coverage summed exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import class_likelihood_ratios

from medray.errors import ConfigError
from medray.stats.interval import Interval
from medray.stats.likelihood_ratios import (
    LikelihoodRatios,
    PredictiveValues,
    likelihood_ratios,
    predictive_values,
)
from medray.stats.rates import Rates

COUNTS = st.tuples(*[st.integers(0, 60)] * 4)


@settings(deadline=None, max_examples=100)
@given(COUNTS, st.floats(0.001, 0.999))
def test_whatever_the_counts_figures_are_documents_in_order(
    counts: tuple[int, int, int, int], prevalence: float
) -> None:
    rates = Rates.of(*counts)
    ratios, values = likelihood_ratios(rates), predictive_values(rates, prevalence)
    assert LikelihoodRatios.from_dict(ratios.to_dict()) == ratios  # its check() looks at the order
    assert PredictiveValues.from_dict(values.to_dict()) == values


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.integers(1, 60)] * 4))
def test_values_are_those_of_scikit_learn_and_of_bayes(counts: tuple[int, int, int, int]) -> None:
    tp, fp, tn, fn = counts
    labels, called = np.repeat([1, 0, 0, 1], counts), np.repeat([1, 1, 0, 0], counts)
    ratios = likelihood_ratios(Rates.of(*counts))
    assert (ratios.positive.value, ratios.negative.value) == pytest.approx(class_likelihood_ratios(labels, called))
    here = (tp + fn) / sum(counts)
    at_home = predictive_values(Rates.of(*counts), here)
    assert (at_home.ppv.value, at_home.npv.value) == pytest.approx((tp / (tp + fp), tn / (tn + fn)))
    sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
    elsewhere = predictive_values(Rates.of(*counts), 0.02)
    called_cases, called_others = 0.02 * sensitivity, 0.98 * (1 - specificity)
    assert elsewhere.ppv.value == pytest.approx(called_cases / (called_cases + called_others))
    missed, cleared = 0.02 * (1 - sensitivity), 0.98 * specificity
    assert elsewhere.npv.value == pytest.approx(cleared / (missed + cleared))


def test_a_published_interval() -> None:
    """36 of 40 against 16 of 80, the example of Koopman 1984: 2.94 to 7.15."""
    ratio = likelihood_ratios(Rates.of(tp=36, fn=4, fp=16, tn=64)).positive
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((4.5, 2.94, 7.15), abs=0.006)


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.9, 0.8), (0.97, 0.97), (0.6, 0.95)])
def test_intervals_cover_the_truth(sensitivity: float, specificity: float) -> None:
    """Summed exactly over all counts of 30 cases and 60 others, for the ratios and the values at a prevalence of 2 %."""
    cases, others, prevalence = 30, 60, 0.02
    truth = (sensitivity / (1 - specificity), (1 - sensitivity) / specificity)
    called = prevalence * sensitivity, (1 - prevalence) * (1 - specificity)
    cleared = (1 - prevalence) * specificity, prevalence * (1 - sensitivity)
    shares = called[0] / sum(called), cleared[0] / sum(cleared)
    covered = np.zeros(4)
    for tp in range(cases + 1):
        for fp in range(others + 1):
            chance = binom.pmf(tp, cases, sensitivity) * binom.pmf(fp, others, 1 - specificity)
            if chance < 1e-7:
                continue
            rates = Rates.of(tp, fp, others - fp, cases - tp)
            ratios, values = likelihood_ratios(rates), predictive_values(rates, prevalence)
            figures = (ratios.positive, ratios.negative, values.ppv, values.npv)
            covered += chance * np.array([inside(f, t) for f, t in zip(figures, (*truth, *shares), strict=True)])
    assert covered.min() >= 0.93
    assert covered[:2] == pytest.approx(covered[2:], abs=1e-6)


def inside(interval: Interval, truth: float) -> bool:
    low, high = interval.low or 0.0, np.inf if interval.high is None else interval.high
    return low <= truth <= high


def test_counts_of_none() -> None:
    nothing = Interval(None, None, None)
    assert likelihood_ratios(Rates.of(0, 2, 8, 0)) == LikelihoodRatios(nothing, nothing)
    assert predictive_values(Rates.of(0, 2, 8, 0), 0.1).ppv == nothing
    never_wrong = likelihood_ratios(Rates.of(9, 0, 40, 1)).positive
    assert (never_wrong.value, never_wrong.high) == (None, None)
    assert never_wrong.low is not None
    assert never_wrong.low > 5
    ppv = predictive_values(Rates.of(9, 0, 40, 1), 0.01).ppv
    assert (ppv.value, ppv.high) == (1, 1)
    assert ppv.low is not None
    assert ppv.low < 0.2  # at one case in a hundred, 40 others without a false alarm say little


@pytest.mark.parametrize("prevalence", [0.0, 1.0, 5.0, float("nan")])
def test_what_is_no_prevalence(prevalence: float) -> None:
    with pytest.raises(ConfigError, match="prevalence is"):
        predictive_values(Rates.of(1, 1, 1, 1), prevalence)
    with pytest.raises(ConfigError, match="confidence is"):
        likelihood_ratios(Rates.of(1, 1, 1, 1), confidence=1.5)
