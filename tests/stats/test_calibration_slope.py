"""Calibration intercept and slope: against an unpenalised fit, the truth they must cover, and what has none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.calibration_slope import Recalibration, log_odds, recalibrate
from medray.stats.interval import Interval

NOTHING = Interval(None, None, None)


def drawn(images: int, seed: int, slope: float = 1.0, shift: float = 0.0) -> tuple[Array, Array]:
    """Scores (n,), and labels of which `slope` and `shift` are the true recalibration."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1.0, 1.5, images)
    return expit(odds), rng.random(images) < expit(shift + slope * odds)


def ends(interval: Interval) -> tuple[float, float, float]:
    assert interval.value is not None
    assert interval.low is not None
    assert interval.high is not None
    return interval.value, interval.low, interval.high


def test_slope_is_that_of_an_unpenalised_logistic_regression() -> None:
    scores, positive = drawn(400, seed=1, slope=0.6)
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(log_odds(scores)[:, None], positive)
    assert ends(recalibrate(scores, positive).slope)[0] == pytest.approx(expected.coef_[0, 0], abs=1e-5)


def test_intercept_makes_the_mean_probability_the_share_of_positives() -> None:
    scores, positive = drawn(300, seed=2, shift=-1.0)
    result = recalibrate(scores, positive)
    moved = expit(log_odds(scores) + ends(result.intercept)[0])
    assert moved.mean() == pytest.approx(positive.mean(), abs=1e-9)
    assert result.observed_to_expected == pytest.approx(positive.sum() / scores.sum())


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.5, 0.0), (1.0, -1.0)])
def test_intervals_cover_the_truth(slope: float, shift: float) -> None:
    """Of 400 data sets of 80 images 95 % are to cover: below 92 % happens by chance once in 200 times."""
    covered = {"slope": 0, "intercept": 0}
    for seed in range(400):
        result = recalibrate(*drawn(80, seed, slope, shift))
        _, low, high = ends(result.slope)
        covered["slope"] += low <= slope <= high
        _, low, high = ends(result.intercept)
        covered["intercept"] += low <= shift <= high
    assert 0.92 <= covered["slope"] / 400 <= 0.99
    if slope == 1:  # else the intercept at a slope of 1 has another truth
        assert 0.92 <= covered["intercept"] / 400 <= 0.99


def test_intervals_cover_where_the_images_of_a_patient_resemble_each_other() -> None:
    """20 patients with five images each; without the patients the intervals are far too narrow."""
    patients, (with_patients, without) = np.repeat(np.arange(20), 5), (0, 0)
    for seed in range(400):
        rng = np.random.default_rng(seed)
        odds = rng.normal(-0.5, 1.5, 20)[patients] + rng.normal(0, 0.3, 100)
        noise = math.sqrt(0.8) * rng.normal(size=20)[patients] + math.sqrt(0.2) * rng.normal(size=100)
        scores, positive = expit(odds), norm.cdf(noise) < expit(odds)
        known, unknown = recalibrate(scores, positive, patients).slope, recalibrate(scores, positive).slope
        if known.low is None or known.high is None or unknown.low is None or unknown.high is None:
            continue
        with_patients += known.low <= 1 <= known.high
        without += unknown.low <= 1 <= unknown.high
    assert with_patients >= 0.91 * 400
    assert without <= 0.85 * 400


def test_patients_of_one_image_each_are_images() -> None:
    scores, positive = drawn(100, seed=3)
    names = np.array([f"patient {i:03}" for i in range(100)])
    assert recalibrate(scores, positive, names) == recalibrate(scores, positive)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=30))
def test_whatever_comes_there_is_a_document(pairs: list[tuple[float, bool]]) -> None:
    result = recalibrate(np.array([s for s, _ in pairs]), np.array([p for _, p in pairs]))
    assert Recalibration.from_dict(result.to_dict()) == result


@pytest.mark.parametrize(
    ("scores", "positive"),
    [
        ([0.1, 0.2, 0.8, 0.9], [False, False, True, True]),  # separated without fail
        ([0.3, 0.3, 0.3, 0.3], [False, True, False, True]),  # all the same
        ([0.1, 0.6, 0.3, 0.9], [True, True, True, True]),
        ([0.0, 0.0, 0.0, 0.0], [False, False, False, False]),
    ],
)
def test_what_has_no_slope(scores: list[float], positive: list[bool]) -> None:
    assert recalibrate(np.array(scores), np.array(positive)).slope == NOTHING


def test_what_can_not_be_recalibrated() -> None:
    scores, positive = drawn(10, seed=0)
    with pytest.raises(ConfigError, match="confidence is 95"):
        recalibrate(scores, positive, confidence=95)
    with pytest.raises(DataError, match="groups are"):
        recalibrate(scores, positive, np.arange(3))
    with pytest.raises(DataError, match="score of image 0 is 2"):
        recalibrate(scores * 0 + 2, positive)
