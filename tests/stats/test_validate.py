"""Predictions that can't be used are refused in one line, by every function that takes them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from medray._types import Array
from medray.decisions.conformal import calibrate, nonconformity
from medray.decisions.temperature import apply_temperature, fit_temperature
from medray.decisions.thresholds import Rule, set_point
from medray.errors import DataError
from medray.stats.calibration import brier_score, reliability
from medray.stats.validate import check_labelled, check_probabilities

GOOD = np.array([[0.2, 0.8], [0.6, 0.4]])
INF = float("inf")

#: Everything that takes probabilities and labels, or probabilities alone.
TAKERS: dict[str, Callable[[Array, Array], Any]] = {
    "brier_score": brier_score,
    "fit_temperature": fit_temperature,
    "reliability": reliability,
    "calibrate": lambda p, y: calibrate(p, y, 0.9, "lac"),
    "set_point": lambda p, y: set_point(Rule("youden"), p, y, ("no", "yes"), "yes", "val"),
    "apply_temperature": lambda p, y: apply_temperature(p, 2.0),
    "nonconformity": lambda p, y: nonconformity(p, "lac"),
}


@pytest.mark.parametrize("taker", list(TAKERS.values()), ids=list(TAKERS))
def test_nan_is_refused_everywhere(taker: Callable[[Array, Array], Any]) -> None:
    taker(GOOD, np.array([0, 1]))
    with pytest.raises(DataError, match="probabilities of image 1 must lie between 0 and 1 and sum to 1"):
        taker(np.array([[0.5, 0.5], [np.nan, 0.5]]), np.array([0, 1]))


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.array([0.2, 0.8]), r"float64 \(2,\), not float"),
        (np.ones((3, 1)), r"float64 \(3, 1\), not float .* two classes or more"),
        (np.array([["a", "b"]]), "not float"),
        (np.array([[0, 1]]), r"int64 \(1, 2\), not float"),
        (np.array([[0.5, 0.5], [0.7, 0.7]]), r"image 1 .* sum to 1\.4"),
        (np.array([[1.5, -0.5]]), r"image 0 .* between -0\.5 and 1\.5"),
        (np.array([[INF, 0.5]]), r"image 0 .* 0\.5 and inf"),
        (np.array([[INF, -INF]]), r"image 0 .* -inf and inf and sum to nan"),
        (np.array([[2.0, 1.0]]), "image 0"),
    ],
)
def test_what_are_no_probabilities(probabilities: Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_probabilities(probabilities)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 0]), r"labels are int64 \(3,\), not whole numbers \(2,\)"),
        (np.array([0.0, 1.0]), r"labels are float64 \(2,\)"),
        (np.array([[0], [1]]), r"labels are int64 \(2, 1\)"),
        (np.array([0, 2]), "label 2 of image 1 is of no class: labels are 0 to 1"),
        (np.array([-1, 0]), "label -1 of image 0"),
    ],
)
def test_what_are_no_labels(labels: Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_labelled(GOOD, labels)


def test_rounding_of_a_softmax_is_taken_and_cut_off() -> None:
    above = np.array([[np.nextafter(np.float32(1), np.float32(2)), 0.0]], dtype=np.float32)
    assert check_probabilities(above).tolist() == [[1.0, 0.0]]
    half = np.full((1, 3), 1 / 3, dtype=np.float16)
    assert check_probabilities(half).dtype == np.float64
