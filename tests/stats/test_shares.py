"""Shares of images by patient: exact where images are independent, and covered where they are not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.rates import Proportion, measure_rates, share_of


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.8, 0.95, 0.99]), st.booleans())
def test_the_interval_of_independent_images_is_exact(
    right: int, wrong: int, confidence: float, known: bool
) -> None:
    if not right + wrong:
        return
    hits = np.repeat([True, False], [right, wrong])
    result = share_of(hits, np.arange(len(hits)) if known else None, confidence)
    expected = binomtest(right, right + wrong).proportion_ci(confidence, method="exact")
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (result.count, result.total, result.value) == (right, right + wrong, right / (right + wrong))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 14), st.booleans()), min_size=1, max_size=60))
def test_any_share_lies_in_its_interval_which_is_never_empty(images: list[tuple[int, bool]]) -> None:
    patients, hits = np.array([p for p, _ in images]), np.array([h for _, h in images])
    result = share_of(hits, patients)
    assert Proportion.from_dict(result.to_dict()) == result
    turned = share_of(~hits, patients)
    if result.low is None or result.high is None:
        assert result.reason == turned.reason is not None
        return
    assert 0 <= result.low <= hits.mean() <= result.high <= 1
    assert result.high - result.low > 0.05
    assert (turned.low, turned.high) == pytest.approx((1 - result.high, 1 - result.low), abs=1e-9)


def test_few_patients_have_no_interval_and_it_says_why() -> None:
    hits = np.ones(90, dtype=bool)
    result = share_of(hits, np.arange(90) % 9)
    assert result == Proportion(1.0, None, None, 90, 90, "9 patients: too few")
    assert share_of(hits, np.zeros(90)).reason == "1 patient: too few"
    assert share_of(hits, np.arange(90) % 10).reason is None
    mostly_one = np.maximum(np.arange(200) - 185, 0)
    assert share_of(np.ones(200, dtype=bool), mostly_one).reason == "nearly all images are of one patient"


def test_images_that_only_repeat_their_patient_count_as_one() -> None:
    hits, patients = np.repeat([True, False], [160, 80]), np.arange(240) // 4
    by_patient = binomtest(40, 60).proportion_ci(method="wilson")
    result = share_of(hits, patients)
    assert (result.low, result.high) == pytest.approx((by_patient.low, by_patient.high), abs=0.01)
    all_right = share_of(np.ones(240, dtype=bool), patients)
    assert all_right.low == pytest.approx(0.94, abs=0.03)
    assert all_right.high == 1.0


def drawn(
    rng: np.random.Generator, patients: int, share: float, alike: float, unequal: bool
) -> tuple[Array, Array]:
    """Hits of patients with 5 images each, or 5 on average, whose correlation within a patient is `alike`."""
    sizes = np.clip(rng.geometric(0.2, patients), 1, 30) if unequal else np.full(patients, 5)
    groups = np.repeat(np.arange(patients), sizes)
    own = np.full(patients, share)
    if alike:
        own = rng.beta(share * (1 / alike - 1), (1 - share) * (1 / alike - 1), patients)
    return rng.random(len(groups)) < own[groups], groups


@pytest.mark.parametrize(
    ("patients", "share", "alike", "unequal"),
    [
        (20, 0.5, 0.8, False), (20, 0.85, 0.5, False), (20, 0.7, 0.8, True), (50, 0.95, 0.5, True),
        (50, 0.8, 0.0, False), (200, 0.98, 0.8, False), (200, 0.5, 0.5, True), (100, 0.95, 0.2, False),
    ],
)  # fmt: skip
def test_the_interval_holds_the_share_19_times_in_20(
    patients: int, share: float, alike: float, unequal: bool
) -> None:
    rng, draws = np.random.default_rng(0), 1000
    too_high = too_low = 0
    for _ in range(draws):
        result = share_of(*drawn(rng, patients, share, alike, unequal))
        assert result.low is not None
        assert result.high is not None
        too_high += result.low > share
        too_low += result.high < share
    assert 0.925 <= 1 - (too_high + too_low) / draws <= 0.985
    assert max(too_high, too_low) / draws <= 0.055
    if share < 0.9:
        assert min(too_high, too_low) / draws >= 0.004


def test_images_taken_for_independent_would_not_hold_it() -> None:
    rng = np.random.default_rng(0)
    intervals = [share_of(drawn(rng, 50, 0.8, 0.6, unequal=False)[0]) for _ in range(200)]
    assert np.mean([(i.low or 0) <= 0.8 <= (i.high or 0) for i in intervals]) < 0.8


def test_each_rate_is_by_the_patients_of_its_own_images() -> None:
    rng = np.random.default_rng(0)
    positive, groups = rng.random(200) < 0.4, np.arange(200) // 4
    scores = np.clip(0.5 + 0.2 * (2 * positive - 1) + rng.normal(0, 0.2, 200), 0, 1)
    result, called = measure_rates(scores, positive, 0.5, groups), scores >= 0.5
    assert result.sensitivity == share_of(called[positive], groups[positive])
    assert result.specificity == share_of(~called[~positive], groups[~positive])
    assert result.ppv == share_of(positive[called], groups[called])
    assert result.npv == share_of(~positive[~called], groups[~called])
    few = measure_rates(scores, positive, 0.5, np.where(positive, groups % 3, groups + 10))
    assert (few.sensitivity.low, few.sensitivity.reason) == (None, "3 patients: too few")
    assert few.specificity.reason is None
    with pytest.raises(DataError, match="200 of 200 images have no patient"):
        measure_rates(scores, positive, 0.5, np.full(200, ""))


@pytest.mark.parametrize(
    ("hits", "confidence", "error", "words"),
    [
        (np.ones(3), 0.95, DataError, r"hits are float64 \(3,\), not bool"),
        (np.ones(3, dtype=bool), math.nan, ConfigError, "confidence is nan"),
    ],
)
def test_what_is_no_share(hits: Array, confidence: float, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        share_of(hits, confidence=confidence)
