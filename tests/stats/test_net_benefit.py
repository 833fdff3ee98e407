"""Net benefit: by the definition's counts, its limits, and the coverage of its interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import confusion_matrix

from medray.errors import DataError
from medray.stats.interval import Interval
from medray.stats.net_benefit import NetBenefit, decision_curve


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=2, max_size=40),
    st.sampled_from([0.1, 0.3, 0.5, 0.8]),
)
def test_net_benefit_is_that_of_the_counts(pairs: list[tuple[int, bool]], threshold: float) -> None:
    scores, positive = np.array([s / 10 for s, _ in pairs]), np.array([p for _, p in pairs])
    (point,) = decision_curve(scores, positive, [threshold])
    _, fp, _, tp = confusion_matrix(positive, scores >= threshold, labels=[False, True]).ravel()
    weight = threshold / (1 - threshold)
    assert point.model.value == pytest.approx((tp - fp * weight) / len(pairs))
    assert point.all == pytest.approx(positive.mean() - (1 - positive.mean()) * weight)
    assert point.over_all.value == pytest.approx((tp - fp * weight) / len(pairs) - point.all)
    assert NetBenefit.from_dict(point.to_dict()) == point


def test_a_model_that_knows_all_has_the_share_of_cases_and_one_that_calls_all_no_gain() -> None:
    positive = np.arange(50) % 5 == 0
    for point in decision_curve(positive.astype(float), positive):
        assert point.model.value == pytest.approx(0.2)
    for point in decision_curve(np.ones(50), positive, [0.05, 0.1]):
        assert point.model.value == pytest.approx(point.all)
        assert inside(point.over_all, 0.0)


@pytest.mark.parametrize(("patients", "images_each", "cases"), [(80, 1, 0.25), (80, 4, 0.25), (100, 1, 0.05)])
def test_the_intervals_cover_the_truth(patients: int, images_each: int, cases: float) -> None:
    """With patients of several images that resemble each other, and where five cases decide, too."""
    threshold, covered = cases + 0.05, np.zeros(2)
    groups = np.repeat(np.arange(patients), images_each)
    weight = threshold / (1 - threshold)
    model = cases * norm.sf(-0.8) - (1 - cases) * weight * norm.sf(
        0.8
    )  # a case is called from 0.8 deviations below
    every = cases - (1 - cases) * weight
    for seed in range(300):
        rng = np.random.default_rng(seed)
        positive = (rng.random(patients) < cases)[groups]
        noise = np.sqrt(0.8) * rng.normal(size=patients)[groups] + np.sqrt(0.2) * rng.normal(size=len(groups))
        scores = np.where(noise + np.where(positive, 0.8, -0.8) > 0, 0.9, 0.01)
        (point,) = decision_curve(scores, positive, [threshold], groups=groups)
        covered += inside(point.model, model), inside(point.over_all, model - every)
    assert covered.min() / 300 >= 0.94


def inside(interval: Interval, truth: float) -> bool:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low <= truth <= interval.high


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, float("nan")])
def test_what_is_no_threshold_probability(threshold: float) -> None:
    with pytest.raises(DataError, match="threshold probability is"):
        decision_curve(np.array([0.5]), np.array([True]), [threshold])
