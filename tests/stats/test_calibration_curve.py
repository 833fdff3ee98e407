"""Calibration curves and the calibration error of chance: counts, coverage by simulation, and edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.calibration import calibration_curve

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.calibration_curve import (
    ChanceError,
    calibration_bins,
    chance_calibration_error,
    smooth_curve,
)
from medray.stats.metrics import calibration_error
from medray.stats.rates import Proportion


def calibrated(images: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    scores = expit(rng.normal(-0.5, 1.5, images))
    return scores, rng.random(images) < scores


# -- bins


def test_bins_are_those_of_scikit_learn() -> None:
    scores, positive = calibrated(200, seed=0)
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


def test_patients_widen_the_intervals() -> None:
    scores, positive = np.full(40, 0.5), np.repeat([True, False], 20)
    (alone,), (grouped,) = (
        calibration_bins(scores, positive, groups=groups) for groups in (None, np.repeat(np.arange(10), 4))
    )
    assert alone.observed.low is not None
    assert grouped.observed.low is not None
    assert grouped.observed.low < alone.observed.low - 0.05


# -- the smooth curve


def test_the_smooth_curve_covers_the_truth() -> None:
    """Pointwise, on average over the curve, where the model is calibrated."""
    covered, total = 0, 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        scores = expit(rng.normal(0, 1.2, 150))
        points = smooth_curve(scores, rng.random(150) < scores)
        inside = [p.low <= p.score <= p.high for p in points]
        assert all(p.low <= p.observed <= p.high for p in points)
        covered, total = covered + sum(inside), total + len(inside)
    assert 0.92 <= covered / total <= 0.985


def test_the_smooth_curve_follows_a_bend() -> None:
    rng = np.random.default_rng(0)
    scores = expit(rng.normal(0, 1.5, 20000))
    truth = np.where(scores < 0.5, scores, 0.5 + (scores - 0.5) * 0.2)
    for point in smooth_curve(scores, rng.random(20000) < truth):
        right = point.score if point.score < 0.5 else 0.5 + (point.score - 0.5) * 0.2
        assert point.observed == pytest.approx(right, abs=0.06)


@pytest.mark.parametrize(
    ("scores", "positive"), [([0.5] * 8, [True, False] * 4), (np.linspace(0.1, 0.9, 8), [False] * 4 + [True] * 4)]
)
def test_what_has_no_smooth_curve(scores: Array, positive: list[bool]) -> None:
    assert smooth_curve(np.array(scores), np.array(positive)) == []


# -- what chance alone gives


def two_columns(scores: Array) -> Array:
    return np.column_stack([1 - scores, scores])


def test_chance_has_the_mean_and_percentile_of_calibrated_models() -> None:
    """The errors of many label sets that are drawn from the probabilities, by another road."""
    scores, positive = calibrated(150, seed=4)
    result = chance_calibration_error(two_columns(scores), positive.astype(int))
    rng = np.random.default_rng(9)
    errors = [calibration_error(two_columns(scores), (rng.random(150) < scores).astype(int)) for _ in range(2000)]
    assert result.mean == pytest.approx(np.mean(errors), abs=0.002)
    assert result.high == pytest.approx(np.quantile(errors, 0.95), abs=0.004)
    assert result.value == calibration_error(two_columns(scores), positive.astype(int))


def test_few_calibrated_models_lie_above_chance_and_an_overconfident_one_does() -> None:
    above = 0
    for seed in range(200):
        scores, positive = calibrated(100, seed)
        result = chance_calibration_error(two_columns(scores), positive.astype(int), draws=200)
        assert (result.p <= 0.05) == (result.value >= result.high) or abs(result.p - 0.05) < 0.01
        above += result.p <= 0.05
    assert above <= 0.09 * 200  # 5 %, and two standard deviations of 200 draws
    scores, positive = calibrated(400, seed=0)
    sharper = expit(3 * np.log(scores / (1 - scores)))
    assert chance_calibration_error(two_columns(sharper), positive.astype(int), draws=200).p == 1 / 201


def test_chance_is_the_same_on_every_call_and_a_document() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=60)
    labels = np.arange(60) % 3
    result = chance_calibration_error(probabilities, labels, draws=50)
    assert result == chance_calibration_error(probabilities, labels, draws=50)
    assert ChanceError.from_dict(result.to_dict()) == result
    assert result != chance_calibration_error(probabilities, labels, draws=50, seed=1)


def test_a_model_that_is_sure_leaves_nothing_to_chance() -> None:
    result = chance_calibration_error(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0]))
    assert (result.mean, result.high) == (0, 0)
    assert result.value == pytest.approx(1 / 3)


def test_what_can_not_be_drawn() -> None:
    scores, positive = calibrated(10, seed=0)
    with pytest.raises(ConfigError, match="bins is 0"):
        calibration_bins(scores, positive, bins=0)
    with pytest.raises(ConfigError, match="confidence is 2"):
        smooth_curve(scores, positive, confidence=2)
    with pytest.raises(ConfigError, match="0 draws"):
        chance_calibration_error(two_columns(scores), positive.astype(int), draws=0)
    with pytest.raises(DataError, match="labels are"):
        chance_calibration_error(two_columns(scores), np.zeros(3, dtype=int))
