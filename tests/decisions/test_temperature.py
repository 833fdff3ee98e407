"""Brier score, temperature and reliability: against scikit-learn, a loop, and simulated truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from medray._types import Array
from medray.decisions.temperature import HIGHEST, LOWEST, apply_temperature, fit_temperature
from medray.errors import ConfigError, DataError
from medray.stats.calibration import brier_score, reliability
from medray.stats.metrics import calibration_error, log_loss

Case = tuple[Array, Array]


@st.composite
def cases(draw: st.DrawFn, least_classes: int = 2, most_classes: int = 6) -> Case:
    """Probabilities (N, classes), from flat through to exact 0 and 1, often equal, and labels."""
    classes = draw(st.integers(least_classes, most_classes))
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = draw(st.sampled_from([0.1, 1.0, 10.0, 1000.0]))
    logits = np.round(rng.normal(size=(count, classes)), draw(st.sampled_from([0, 6]))) * sharpness
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    probabilities = (powers / powers.sum(axis=1, keepdims=True)).astype(dtype)
    return probabilities, rng.integers(0, classes, size=count)


def drawn(rng: np.random.Generator, truth: Array) -> Array:
    """Labels drawn from each row of probabilities."""
    labels: Array = (rng.random((len(truth), 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return labels


# -- Brier score


@settings(deadline=None, max_examples=50)
@given(cases(most_classes=2))
def test_brier_score_of_two_classes_is_twice_that_of_scikit_learn(case: Case) -> None:
    probabilities, labels = case
    expected = brier_score_loss(labels, probabilities[:, 1].astype(np.float64), pos_label=1)
    # A float32 row misses the sum of 1 by its rounding, which scikit-learn never sees.
    exact = 1e-9 if probabilities.dtype == np.float64 else 1e-6
    assert brier_score(probabilities, labels) == pytest.approx(2 * expected, rel=exact, abs=exact)


@settings(deadline=None, max_examples=50)
@given(cases())
def test_brier_score_is_that_of_a_loop(case: Case) -> None:
    probabilities, labels = case
    total = sum(
        (float(p) - (c == label)) ** 2
        for row, label in zip(probabilities, labels, strict=True)
        for c, p in enumerate(row)
    )
    assert brier_score(probabilities, labels) == pytest.approx(total / len(labels), rel=1e-9, abs=1e-12)


def test_brier_score_is_0_at_best_and_2_at_worst() -> None:
    labels = np.array([0, 1, 2])
    assert brier_score(np.eye(3)[labels], labels) == 0.0
    assert brier_score(np.eye(3)[[1, 2, 0]], labels) == 2.0


# -- temperature


@settings(deadline=None, max_examples=50)
@given(cases())
def test_a_fitted_temperature_is_never_worse_than_none(case: Case) -> None:
    probabilities, labels = case
    temperature = fit_temperature(probabilities, labels)
    assert LOWEST <= temperature <= HIGHEST
    if temperature != 1.0:
        after = log_loss(apply_temperature(probabilities, temperature), labels)
        assert after < log_loss(probabilities.astype(np.float64), labels)


@settings(deadline=None, max_examples=25)
@given(cases())
def test_no_other_temperature_is_better(case: Case) -> None:
    """A grid finds none; probabilities stay off the ends, where the log loss is cut off."""
    probabilities, labels = 0.98 * case[0].astype(np.float64) + 0.02 / case[0].shape[1], case[1]

    def loss(temperature: float) -> float:
        powers = probabilities ** (1 / temperature)
        return float(-np.log((powers / powers.sum(axis=1, keepdims=True))[range(len(labels)), labels]).mean())

    best = min(loss(t) for t in np.geomspace(0.3, HIGHEST, 60))
    temperature = fit_temperature(probabilities, labels)
    assert temperature == 1.0 or loss(temperature) <= best + 1e-6
    assert temperature != 1.0 or loss(1.0) <= best + 1e-5


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_a_known_temperature_is_found(temperature: float, classes: int) -> None:
    """Labels are drawn from the softmax of logits; the network's logits are `temperature` times as large."""
    rng = np.random.default_rng(7)
    logits = rng.normal(size=(20_000, classes)) * 1.5
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    sharp = np.exp(logits * temperature)
    given_out = (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32)
    labels = drawn(rng, truth)
    fitted = fit_temperature(given_out, labels)
    assert fitted == pytest.approx(temperature, rel=0.05)
    assert np.abs(apply_temperature(given_out, fitted) - truth).mean() < 0.005


@settings(deadline=None, max_examples=50)
@given(cases(), st.floats(LOWEST, HIGHEST))
def test_temperature_keeps_the_ranking_and_the_sum(case: Case, temperature: float) -> None:
    before = case[0]
    after = apply_temperature(before, temperature)
    assert after.dtype == np.float32
    assert after.shape == before.shape
    assert after.sum(axis=1, dtype=np.float64) == pytest.approx(1.0, abs=1e-6)
    assert (after >= 0).all()
    assert (after <= 1).all()
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    apart = before[:, :, None] > before[:, None, :]
    assert (after[:, :, None] >= after[:, None, :])[apart].all()


def test_the_likeliest_class_stays_so_where_rounding_makes_it_equal_to_an_earlier_one() -> None:
    half = np.nextafter(np.float32(0.5), np.float32(1))
    after = apply_temperature(np.array([[1 - half, half], [half, 1 - half]], dtype=np.float32), HIGHEST)
    assert after.argmax(axis=1).tolist() == [1, 0]


@settings(deadline=None, max_examples=25)
@given(cases())
def test_temperature_1_changes_nothing_but_rounding(case: Case) -> None:
    assert apply_temperature(case[0], 1.0) == pytest.approx(case[0].astype(np.float64), abs=1e-6)


def test_a_high_temperature_flattens_and_a_low_one_sharpens() -> None:
    probabilities = np.array([[0.2, 0.3, 0.5]])
    assert apply_temperature(probabilities, 1e9) == pytest.approx(np.full((1, 3), 1 / 3), abs=1e-6)
    assert apply_temperature(probabilities, 0.01) == pytest.approx(np.array([[0.0, 0.0, 1.0]]), abs=1e-6)
    assert apply_temperature(probabilities, 2.0)[0] == pytest.approx(
        np.sqrt(probabilities[0]) / np.sqrt(probabilities[0]).sum(), abs=1e-6
    )


def test_certain_predictions() -> None:
    """Exact 0 and 1: all right leaves nothing to mend, some wrong takes away confidence."""
    labels = np.arange(40) % 2
    certain = np.eye(2, dtype=np.float32)[labels]
    assert fit_temperature(certain, labels) == 1.0
    labels[:10] = 1 - labels[:10]
    temperature = fit_temperature(certain, labels)
    assert apply_temperature(certain, temperature).max(axis=1) == pytest.approx(0.75, abs=0.01)


def test_no_image_may_be_tempered_but_none_can_be_fitted() -> None:
    empty = np.empty((0, 3), dtype=np.float32)
    assert apply_temperature(empty, 2.0).shape == (0, 3)
    with pytest.raises(DataError, match="there is no image"):
        fit_temperature(empty, np.empty(0, dtype=np.int64))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match="must be a number above 0"):
        apply_temperature(np.array([[0.5, 0.5]]), temperature)


# -- reliability


@settings(deadline=None, max_examples=50)
@given(cases(), st.sampled_from([1, 4, 15]))
def test_the_expected_calibration_error_follows_from_the_diagram(case: Case, bins: int) -> None:
    diagram = reliability(*case, bins=bins)
    exact = 1e-9 if case[0].dtype == np.float64 else 1e-6
    assert diagram.calibration_error == pytest.approx(calibration_error(*case, bins=bins), abs=exact)


@settings(deadline=None, max_examples=25)
@given(cases(), st.sampled_from([1, 4, 15]))
def test_bins_hold_every_image_once_and_none_is_empty(case: Case, bins: int) -> None:
    probabilities, labels = case
    diagram = reliability(probabilities, labels, bins=bins)
    assert sum(diagram.count) == len(labels)
    assert all(count > 0 for count in diagram.count)
    assert list(diagram.edges) == sorted(set(diagram.edges))
    for (low, high), confidence, accuracy in zip(diagram.edges, diagram.confidence, diagram.accuracy, strict=True):
        assert low - 1e-6 <= confidence <= high + 1e-6
        assert 0 <= accuracy <= 1
    right = sum(n * accuracy for n, accuracy in zip(diagram.count, diagram.accuracy, strict=True))
    assert right == pytest.approx((probabilities.argmax(axis=1) == labels).sum())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tenth", [6, 7, 8, 9])
def test_a_confidence_on_an_edge_falls_into_the_bin_that_the_metric_takes(tenth: int, dtype: type) -> None:
    """float32's 0.7 times 10 is 7 in its own precision and less in another; the image there is the wrong one."""
    confidence = np.array([0.0, -0.03, 0.03]) + tenth / 10
    probabilities = np.column_stack([confidence, 1 - confidence]).astype(dtype)
    labels = np.array([1, 0, 0])
    assert reliability(probabilities, labels, bins=10).calibration_error == pytest.approx(
        calibration_error(probabilities, labels, bins=10), abs=1e-6
    )


def test_reliability_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.0, 1.0]])
    diagram = reliability(probabilities, np.array([0, 1, 1, 1]), bins=4)
    assert diagram.edges == ((0.5, 0.75), (0.75, 1.0))
    assert diagram.count == (1, 3)
    assert diagram.confidence == pytest.approx((0.6, 0.9))
    assert diagram.accuracy == pytest.approx((1.0, 2 / 3))


def test_reliability_needs_a_bin() -> None:
    with pytest.raises(DataError, match="bins is 0"):
        reliability(np.array([[0.5, 0.5]]), np.array([0]), bins=0)
