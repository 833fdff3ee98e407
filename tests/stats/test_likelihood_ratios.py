"""Likelihood ratios and predictive values: scikit-learn, Bayes' theorem, and coverage summed exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm
from sklearn.metrics import class_likelihood_ratios

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.interval import Interval
from medray.stats.likelihood_ratios import (
    LikelihoodRatios,
    PredictiveValues,
    likelihood_ratios,
    likelihood_ratios_by_patient,
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
    ratios, values = likelihood_ratios(rates), at_prevalence(rates, prevalence)
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
    at_home = at_prevalence(Rates.of(*counts), here)
    assert (at_home.ppv.value, at_home.npv.value) == pytest.approx((tp / (tp + fp), tn / (tn + fn)))
    sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
    elsewhere = at_prevalence(Rates.of(*counts), 0.02)
    called_cases, called_others = 0.02 * sensitivity, 0.98 * (1 - specificity)
    assert elsewhere.ppv.value == pytest.approx(called_cases / (called_cases + called_others))
    missed, cleared = 0.02 * (1 - sensitivity), 0.98 * specificity
    assert elsewhere.npv.value == pytest.approx(cleared / (missed + cleared))


def at_prevalence(rates: Rates, prevalence: float) -> PredictiveValues:
    return predictive_values(rates, likelihood_ratios(rates), prevalence)


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
            ratios, values = likelihood_ratios(rates), at_prevalence(rates, prevalence)
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
    assert at_prevalence(Rates.of(0, 2, 8, 0), 0.1).ppv == nothing
    never_wrong = likelihood_ratios(Rates.of(9, 0, 40, 1)).positive
    assert (never_wrong.value, never_wrong.high) == (None, None)
    assert never_wrong.low is not None
    assert never_wrong.low > 5
    ppv = at_prevalence(Rates.of(9, 0, 40, 1), 0.01).ppv
    assert (ppv.value, ppv.high) == (1, 1)
    assert ppv.low is not None
    assert ppv.low < 0.2  # at one case in a hundred, 40 others without a false alarm say little


# -- by patient


def decisions(
    rng: np.random.Generator,
    patients: int,
    images: int,
    alike: float,
    shares: tuple[float, float, float],
    mixed: bool,
) -> tuple[Array, Array, Array]:
    """Calls, cases and patients of so many `images`, who are `alike` within: their images are all easy or hard.

    `shares` are sensitivity, specificity and the share of cases, drawn for each image where `mixed`.
    """
    groups = np.repeat(np.arange(patients), images)
    sensitivity, specificity, cases = shares
    positive = rng.random(len(groups)) < cases if mixed else (rng.random(patients) < cases)[groups]
    easy = np.sqrt(alike) * rng.normal(size=patients)[groups] + np.sqrt(1 - alike) * rng.normal(size=len(groups))
    right = norm.cdf(easy) < np.where(positive, sensitivity, specificity)
    return right == positive, positive, groups


@pytest.mark.parametrize(
    ("patients", "images", "alike", "shares", "mixed"),
    [
        (200, 1, 0.0, (0.9, 0.8, 0.3), True), (60, 5, 0.5, (0.9, 0.8, 0.5), False),
        (60, 5, 0.8, (0.8, 0.8, 0.5), True), (200, 5, 0.5, (0.95, 0.97, 0.2), True),
        (100, 5, 0.0, (0.7, 0.95, 0.3), True), (200, 5, 0.5, (0.95, 0.97, 0.2), False),
    ],
)  # fmt: skip
def test_intervals_by_patient_cover_the_truth(
    patients: int, images: int, alike: float, shares: tuple[float, float, float], mixed: bool
) -> None:
    """Of the ratios and of the values at a prevalence of 2 %, with one and with five images a patient."""
    (sensitivity, specificity, _), rng, draws = shares, np.random.default_rng(0), 400
    truth = (sensitivity / (1 - specificity), (1 - sensitivity) / specificity)
    odds = 0.02 / 0.98
    values = (odds * truth[0] / (1 + odds * truth[0]), 1 / (1 + odds * truth[1]))
    covered = np.zeros(4)
    for _ in range(draws):
        called, positive, groups = decisions(rng, patients, images, alike, shares, mixed)
        ratios = likelihood_ratios_by_patient(called, positive, groups)
        at_home = predictive_values(rates_of(called, positive), ratios, 0.02)
        figures = (ratios.positive, ratios.negative, at_home.ppv, at_home.npv)
        covered += [inside(figure, true) for figure, true in zip(figures, (*truth, *values), strict=True)]
    assert covered.min() / draws >= 0.93
    assert covered.max() / draws <= 0.985
    assert covered[:2] == pytest.approx(covered[2:], abs=1e-6)


def test_images_taken_for_independent_would_not_cover_it() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        called, positive, _ = decisions(rng, 60, 5, 0.8, (0.8, 0.8, 0.5), mixed=False)
        covered += inside(likelihood_ratios(rates_of(called, positive)).positive, 4.0)
    assert covered / 200 < 0.85


def rates_of(called: Array, positive: Array) -> Rates:
    counts = [(called & positive), (called & ~positive), (~called & ~positive), (~called & positive)]
    return Rates.of(*(int(count.sum()) for count in counts))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 14), st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_by_patient_too_figures_are_documents_in_order_with_the_values_of_all_images(
    images: list[tuple[int, bool, bool]],
) -> None:
    groups, called, positive = (np.array(column) for column in zip(*images, strict=True))
    rates = rates_of(called, positive)
    result, independent = likelihood_ratios_by_patient(called, positive, groups), likelihood_ratios(rates)
    assert LikelihoodRatios.from_dict(result.to_dict()) == result
    for own, other in ((result.positive, independent.positive), (result.negative, independent.negative)):
        assert own.value == (None if other.value is None else pytest.approx(other.value))
    values = predictive_values(rates, result, 0.1)
    assert PredictiveValues.from_dict(values.to_dict()) == values
    expected = at_prevalence(rates, 0.1)
    assert (values.ppv.value, values.npv.value) == pytest.approx((expected.ppv.value, expected.npv.value))
    assert (values.ppv.low is None) == (result.positive.low is None)
    if result.reason:
        assert result.positive.low is result.positive.high is result.negative.low is None


def test_one_image_a_patient_is_as_without_patients_and_few_patients_have_no_interval() -> None:
    called, positive, groups = decisions(np.random.default_rng(0), 90, 1, 0.0, (0.9, 0.8, 0.4), mixed=True)
    assert likelihood_ratios_by_patient(called, positive, groups) == likelihood_ratios(rates_of(called, positive))
    few = likelihood_ratios_by_patient(called, positive, np.where(positive, groups % 4, groups))
    assert few.reason == "4 patients: too few"
    assert (few.positive.low, few.negative.high) == (None, None)
    assert few.positive.value == likelihood_ratios(rates_of(called, positive)).positive.value
    with pytest.raises(DataError, match="have no patient"):
        likelihood_ratios_by_patient(called, positive, np.full(90, ""))


@pytest.mark.parametrize("prevalence", [0.0, 1.0, 5.0, float("nan")])
def test_what_is_no_prevalence(prevalence: float) -> None:
    with pytest.raises(ConfigError, match="prevalence is"):
        at_prevalence(Rates.of(1, 1, 1, 1), prevalence)
    with pytest.raises(ConfigError, match="confidence is"):
        likelihood_ratios(Rates.of(1, 1, 1, 1), confidence=1.5)
