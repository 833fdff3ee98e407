"""Calibration curves: counts, coverage by simulation with one and five images a patient, and edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm
from sklearn.calibration import calibration_curve

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.calibration_curve import CalibrationCurve, calibration_bins, smooth_curve
from medray.stats.events import Event
from medray.stats.rates import Proportion

CASE = Event("case", 1)


def calibrated(
    rng: np.random.Generator, patients: int, images: int = 1, alike: float = 0.6, middle: float = -0.5
) -> tuple[Array, Array, Array]:
    """Scores of a calibrated model, positives, and patients of so many `images`, who are `alike` in both."""
    groups = np.repeat(np.arange(patients), images)
    own, of_image = np.sqrt(alike), np.sqrt(1 - alike)
    odds = own * rng.normal(size=patients)[groups] + of_image * rng.normal(size=len(groups))
    drawn = own * rng.normal(size=patients)[groups] + of_image * rng.normal(size=len(groups))
    scores = expit(middle + 1.5 * odds)
    return scores, norm.cdf(drawn) < scores, groups


# -- bins


def test_bins_are_those_of_scikit_learn() -> None:
    scores, positive, _ = calibrated(np.random.default_rng(0), 200)
    observed, means = calibration_curve(positive, scores, n_bins=10, strategy="quantile")
    result = calibration_bins(scores, positive)
    assert [b.mean for b in result] == pytest.approx(means.tolist())
    assert [b.observed.value for b in result] == pytest.approx(observed.tolist())
    assert [b.observed for b in result] == [Proportion.of(b.observed.count, 20) for b in result]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 12),
)
def test_each_image_is_in_one_bin_and_equal_scores_are_in_the_same(
    pairs: list[tuple[int, bool]], bins: int
) -> None:
    scores, positive = np.array([s / 6 for s, _ in pairs]), np.array([p for _, p in pairs])
    result = calibration_bins(scores, positive, bins=bins)
    assert 1 <= len(result) <= min(bins, len(set(scores.tolist())))
    assert sum(b.observed.total for b in result) == len(pairs)
    assert sum(b.observed.count for b in result) == positive.sum()
    assert sum(b.observed.total * b.mean for b in result) == pytest.approx(scores.sum())
    means = [b.mean for b in result]
    assert means == sorted(set(means))
    order = np.random.default_rng(len(pairs)).permutation(len(pairs))
    assert [b.observed for b in calibration_bins(scores[order], positive[order], bins=bins)] == [
        b.observed for b in result
    ]


def test_a_curve_has_a_bin_for_each_twenty_images_or_patients() -> None:
    scores, positive, groups = calibrated(np.random.default_rng(0), 45, images=5)
    assert len(CalibrationCurve.of(CASE, scores, positive).bins) == 10
    by_patient = CalibrationCurve.of(CASE, scores, positive, groups)
    assert len(by_patient.bins) == 2
    assert CalibrationCurve.from_dict(by_patient.to_dict()) == by_patient
    (few,) = CalibrationCurve.of(CASE, scores[:45], positive[:45], groups[:45]).bins
    assert (few.observed.low, few.observed.reason) == (None, "9 patients: too few")


# -- coverage


@pytest.mark.parametrize(
    ("patients", "images", "alike", "middle"),
    [(150, 1, 0.0, -0.5), (300, 1, 0.0, -2.0), (60, 5, 0.6, 0.0), (150, 5, 0.6, -2.0), (150, 5, 0.9, -1.0)],
)
def test_bins_and_smooth_curve_cover_the_truth(patients: int, images: int, alike: float, middle: float) -> None:
    """Pointwise, on average over the curve, of a calibrated model; the exact intervals of few cases are wide."""
    rng, in_bin, on_curve = np.random.default_rng(0), [], []
    for _ in range(200):
        scores, positive, groups = calibrated(rng, patients, images, alike, middle)
        curve = CalibrationCurve.of(CASE, scores, positive, groups)
        in_bin += [(b.observed.low or 0) <= b.mean <= (b.observed.high or 0) for b in curve.bins]
        on_curve += [p.low <= p.score <= p.high for p in curve.smooth]
    assert 0.93 <= np.mean(in_bin) <= 0.99
    assert 0.93 <= np.mean(on_curve) <= 0.98


def test_images_taken_for_independent_would_not_cover_it() -> None:
    rng, in_bin, on_curve = np.random.default_rng(0), [], []
    for _ in range(100):
        scores, positive, _ = calibrated(rng, 60, images=5, alike=0.9)
        curve = CalibrationCurve.of(CASE, scores, positive)
        in_bin += [(b.observed.low or 0) <= b.mean <= (b.observed.high or 0) for b in curve.bins]
        on_curve += [p.low <= p.score <= p.high for p in curve.smooth]
    assert np.mean(in_bin) < 0.9
    assert np.mean(on_curve) < 0.85


# -- the smooth curve


def test_the_smooth_curve_follows_a_bend() -> None:
    rng = np.random.default_rng(0)
    scores = expit(rng.normal(0, 1.5, 20000))
    truth = np.where(scores < 0.5, scores, 0.5 + (scores - 0.5) * 0.2)
    for point in smooth_curve(scores, rng.random(20000) < truth):
        right = point.score if point.score < 0.5 else 0.5 + (point.score - 0.5) * 0.2
        assert point.observed == pytest.approx(right, abs=0.06)
        assert point.low <= point.observed <= point.high


@pytest.mark.parametrize(
    ("scores", "positive"),
    [
        ([0.5] * 40, [True, False] * 20),
        (np.linspace(0.1, 0.9, 40), [False] * 20 + [True] * 20),
        (np.linspace(0.1, 0.9, 40), ([True] + [False] * 4) * 8),
    ],
    ids=["one score", "separated", "eight cases"],
)
def test_what_has_no_smooth_curve(scores: Array, positive: list[bool]) -> None:
    assert smooth_curve(np.array(scores), np.array(positive)) == []


def test_what_is_no_curve() -> None:
    scores, positive, groups = calibrated(np.random.default_rng(0), 40)
    with pytest.raises(ConfigError, match="bins is 0"):
        calibration_bins(scores, positive, bins=0)
    with pytest.raises(ConfigError, match="confidence is 2"):
        smooth_curve(scores, positive, confidence=2)
    with pytest.raises(DataError, match="have no patient"):
        CalibrationCurve.of(CASE, scores, positive, np.where(groups, groups.astype(str), ""))
