"""Recalibration on a part of other images: what it is fitted on, and that the rest is only measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray._types import Array
from medray.evaluate.external.recalibration import (
    AS_IS,
    INTERCEPTS,
    LEAST,
    TEMPERATURE,
    apply_intercepts,
    apply_label_intercepts,
    fit_intercepts,
    fit_label_intercepts,
    random_part,
    recalibrate_locally,
)

NAMES = ("a", "b", "c")


def answers(count: int, seed: int = 0, bias: tuple[float, ...] = (0.0, 0.0, 0.0)) -> tuple[Array, Array]:
    """Probabilities of a model that knows something, and labels drawn from them with the odds of `bias`."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet((1.0, 1.0, 1.0), size=count).astype(np.float32)
    true = probabilities * np.exp(bias)
    true /= true.sum(axis=1, keepdims=True)
    labels = (rng.random((count, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return probabilities, labels.astype(np.int64)


@given(st.integers(0, 1000), st.integers(1, 5))
def test_the_rest_never_changes_what_is_fitted(seed: int, per_patient: int) -> None:
    probabilities, labels = answers(240)
    units = np.arange(240) // per_patient
    part = random_part(units, seed)
    assert not np.isin(units[part], units[~part]).any(), "a patient is on one side"
    assert part.sum() >= 60
    changed, other = probabilities.copy(), labels.copy()
    changed[~part], other[~part] = probabilities[~part][::-1], (labels[~part] + 1) % 3
    first, second = (
        recalibrate_locally(p, truth, NAMES, units, None, seed)
        for p, truth in ((probabilities, labels), (changed, other))
    )
    assert [(m.temperatures, m.intercepts) for m in first.methods] == [
        (m.temperatures, m.intercepts) for m in second.methods
    ]
    assert (first.fitted, first.measured) == (part.sum(), (~part).sum())
    assert first.methods[0].scores["log_loss"] != second.methods[0].scores["log_loss"]


def test_a_shift_of_the_classes_is_corrected_by_intercepts_and_not_by_a_temperature() -> None:
    bias = (1.5, 0.0, -1.5)
    probabilities, labels = answers(2000, 1, bias)
    local = recalibrate_locally(probabilities, labels, NAMES, np.arange(2000), None, 0)
    losses = {method.name: method.scores["log_loss"].value for method in local.methods}
    assert None not in losses.values()
    assert losses[INTERCEPTS] < losses[AS_IS] - 0.1  # type: ignore[operator]
    assert losses[INTERCEPTS] < losses[TEMPERATURE] - 0.1  # type: ignore[operator]
    assert local.methods[2].intercepts == pytest.approx(bias, abs=0.4)
    assert local.methods[2].temperatures == pytest.approx((1.0,), abs=0.25)


def test_the_fit_has_the_least_loss() -> None:
    probabilities, labels = answers(400, 2, (0.5, 0.0, -0.5))
    (temperature,), intercepts = fit_intercepts(probabilities, labels)
    assert sum(intercepts) == pytest.approx(0)

    def loss(scale: float, biases: tuple[float, ...]) -> float:
        return -float(np.log(apply_intercepts(probabilities, (scale,), biases)[np.arange(400), labels]).mean())

    best = loss(temperature, intercepts)
    for change in np.random.default_rng(0).normal(0, 0.1, size=(20, 4)):
        moved = tuple(float(value + step) for value, step in zip(intercepts, change[1:], strict=True))
        assert loss(temperature * float(np.exp(change[0])), moved) > best - 1e-4


def test_too_few_images_have_no_recalibration_and_it_says_so() -> None:
    probabilities, labels = answers(2 * LEAST - 1)
    local = recalibrate_locally(probabilities, labels, NAMES, np.arange(len(labels)), None, 0)
    assert (local.methods, local.reason) == ((), "99 images: at least 100 are needed")
    one = recalibrate_locally(*answers(120)[:1], np.zeros(120, np.int64), NAMES, np.arange(120), None, 0)
    assert one.reason == "one side has images of one class only"


def test_a_class_that_the_part_lacks_keeps_finite_probabilities() -> None:
    probabilities, labels = answers(200, 3)
    local = recalibrate_locally(probabilities, labels % 2, NAMES, np.arange(200), None, 0)
    assert np.isfinite(local.methods[2].intercepts).all()


def label_answers(count: int, seed: int, bias: tuple[float, ...]) -> tuple[Array, Array]:
    """Probabilities of labels that a model knows something of, and labels drawn with the log-odds of `bias` more."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-0.5, 1.5, size=(count, len(bias)))
    labels = rng.random(odds.shape) < 1 / (1 + np.exp(-odds - bias))
    return (1 / (1 + np.exp(-odds))).astype(np.float32), labels.astype(np.int64)


def test_each_label_is_recalibrated_as_a_question_of_its_own() -> None:
    bias = (1.5, 0.0, -1.5)
    probabilities, labels = label_answers(2400, 5, bias)
    labels[np.random.default_rng(1).random(labels.shape) < 0.2] = -1
    local = recalibrate_locally(probabilities, labels, NAMES, np.arange(2400), None, 0)
    as_is, temperature, intercepts = (method.scores["log_loss"].value for method in local.methods)
    assert as_is is not None
    assert intercepts is not None
    assert temperature is not None
    assert intercepts < min(as_is, temperature) - 0.05
    assert local.methods[2].intercepts == pytest.approx(bias, abs=0.4)
    assert local.methods[2].temperatures == pytest.approx((1.0,) * 3, abs=0.3)
    slopes = [calibration.slope.value for calibration in local.methods[2].calibration.values()]
    assert slopes == pytest.approx([1.0] * 3, abs=0.3)


def test_a_label_that_the_part_can_not_tell_keeps_its_probabilities() -> None:
    probabilities, labels = label_answers(300, 6, (0.8, 0.0, 0.0))
    labels[:, 1], labels[:, 2] = 0, -1
    temperatures, intercepts = fit_label_intercepts(probabilities, labels)
    assert (temperatures[1:], intercepts[1:]) == ((1.0, 1.0), (0.0, 0.0))
    changed = apply_label_intercepts(probabilities, temperatures, intercepts)
    assert changed[:, 1:] == pytest.approx(probabilities[:, 1:], abs=1e-6)
    assert np.abs(changed[:, 0] - probabilities[:, 0]).max() > 0.05
    nothing = recalibrate_locally(probabilities, np.where(labels == 1, 0, labels), NAMES, np.arange(300), None, 0)
    assert nothing.reason == "no label has images with it and images without it on both sides"
