"""The calibration error of chance, by simulation, and edges."""

import numpy as np
import pytest
from scipy.special import expit

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.chance_calibration import ChanceError, chance_calibration_error
from medray.stats.metrics import calibration_error


def calibrated(images: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    scores = expit(rng.normal(-0.5, 1.5, images))
    return scores, rng.random(images) < scores


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
    with pytest.raises(ConfigError, match="0 draws"):
        chance_calibration_error(two_columns(scores), positive.astype(int), draws=0)
    with pytest.raises(DataError, match="labels are"):
        chance_calibration_error(two_columns(scores), np.zeros(3, dtype=int))
