"""Decisions where an image may have several labels: temperature, operating point and sets of each label."""

import numpy as np
import pytest

from medray.decisions.conformal import calibrate_label
from medray.decisions.promises import CALIBRATION
from medray.decisions.temperature import apply_temperatures, fit_temperatures, temperature_text
from medray.decisions.thresholds import Rule, set_point
from medray.errors import ConfigError, DataError
from medray.stats.events import Event
from medray.stats.label_set_predictions import LabelSetPredictions
from tests.label_set_samples import LabelSetWorld

NAMES = ("a", "b", "c")
WORLD = LabelSetWorld(400, 1, (0.3, 0.2, 0.4), separation=2.0)


def sharpened(predictions: LabelSetPredictions, by: float) -> np.ndarray:
    exact = predictions.probabilities.astype(np.float64).clip(1e-6, 1 - 1e-6)
    odds = by * np.log(exact / (1 - exact))
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


def test_each_label_has_the_temperature_that_it_was_sharpened_by() -> None:
    predictions, _ = LabelSetWorld(4000, 1, (0.3, 0.2, 0.4), separation=2.0).draw(np.random.default_rng(0))
    table = predictions.probabilities.copy()
    table[:, 1] = sharpened(predictions, 3.0)[:, 1]
    temperatures = fit_temperatures(table, predictions.labels)
    assert temperatures[1] == pytest.approx(3.0, rel=0.15)
    assert temperatures[0] == pytest.approx(1.0, abs=0.15)
    scaled = apply_temperatures(table, temperatures)
    assert scaled.dtype == np.float32
    low = scaled[:, 1] < 0.9  # near 1 a float32 has lost digits before
    assert scaled[low, 1] == pytest.approx(sharpened(predictions, 3.0 / temperatures[1])[low, 1], rel=1e-4)
    assert (np.argsort(scaled, axis=0, kind="stable") == np.argsort(table, axis=0, kind="stable")).mean() > 0.99
    assert ((scaled >= 0.5) == (table >= 0.5)).all()  # a temperature calls no other label
    assert temperature_text(temperatures).startswith("a temperature for each label, ")
    assert temperature_text((1.25,)) == "temperature 1.250"


def test_a_label_of_no_image_keeps_its_probabilities_and_unknown_ones_do_not_count() -> None:
    predictions, _ = WORLD.draw(np.random.default_rng(1))
    labels = predictions.labels.copy()
    labels[:, 0] = 0
    labels[::2, 1] = -1
    temperatures = fit_temperatures(predictions.probabilities, labels)
    assert temperatures[0] == 1.0
    kept = labels[1::2, 1:2]
    assert fit_temperatures(predictions.probabilities[1::2, 1:2], kept) == (temperatures[1],)


def test_an_operating_point_of_a_label_is_that_of_its_known_images() -> None:
    predictions, groups = WORLD.draw(np.random.default_rng(2))
    labels = predictions.labels.copy()
    labels[:100, 2] = -1
    rule = Rule("sensitivity", 0.9)
    point = set_point(rule, predictions.probabilities, labels, NAMES, "c", CALIBRATION, groups)
    assert (point.event.name, point.event.class_index, point.images) == ("c", 2, 300)
    assert point.promised == 0.9
    called = point.decide(predictions.probabilities)
    assert called[100:][labels[100:, 2] == 1].mean() == point.rates.sensitivity.value
    with pytest.raises(ConfigError, match="valid: a, b, c"):
        set_point(rule, predictions.probabilities, labels, NAMES, "d", CALIBRATION)
    labels[:, 2] = np.minimum(labels[:, 2], 0)
    with pytest.raises(DataError, match="no image of calibration is of class 'c'"):
        set_point(rule, predictions.probabilities, labels, NAMES, "c", CALIBRATION)


def test_promised_sensitivity_and_coverage_hold_on_new_images_for_each_label() -> None:
    world = LabelSetWorld(150, 2, (0.3, 0.2, 0.4), separation=1.5, shared=0.3, unknown=0.1)
    new, _ = world.draw(np.random.default_rng(98), 6000)
    rng, sensitivities, coverages = np.random.default_rng(3), [], []
    for _ in range(40):
        predictions, groups = world.draw(rng)
        table, labels = predictions.probabilities, predictions.labels
        for index, name in enumerate(NAMES):
            event = Event.at(index, NAMES)
            point = set_point(Rule("sensitivity", 0.9), table, labels, NAMES, name, CALIBRATION, groups)
            answers = event.answers(new.probabilities, new.labels)
            if point.promised:
                sensitivities.append((answers.scores >= point.threshold)[answers.having].mean())
            sets = calibrate_label(event, table, labels, 0.9, set_on=CALIBRATION, groups=groups)
            assert sets is not None
            assert (sets.promised, sets.event) == (True, event)
            known = event.known(new.labels)
            inside = sets.sets(new.probabilities[known])
            assert inside.shape == (known.sum(), 2)
            coverages.append([inside[~answers.having, 0].mean(), inside[answers.having, 1].mean()])
    assert len(sensitivities) > 60
    assert np.mean(sensitivities) >= 0.9 - 0.006  # two standard errors
    assert (np.mean(coverages, axis=0) >= 0.9 - 0.006).all()  # of images without a label, and of those with it
    assert (np.mean(coverages, axis=0) < 0.97).all()


def test_a_label_that_no_image_tells_has_no_sets() -> None:
    predictions, _ = WORLD.draw(np.random.default_rng(4))
    labels = predictions.labels.copy()
    labels[:, 1] = -1
    event = Event.at(1, NAMES)
    assert calibrate_label(event, predictions.probabilities, labels, 0.9, set_on="val", groups=None) is None


def test_a_rare_label_is_not_ruled_out_where_too_few_have_it() -> None:
    """With one quantile for both answers nearly all images are without it, so it would be ruled out in most that have it."""
    world = LabelSetWorld(400, 1, (0.04, 0.3), separation=1.0, shared=0.0)
    new, _ = world.draw(np.random.default_rng(97), 6000)
    event, ruled_out = Event.at(0, NAMES), []
    rng = np.random.default_rng(5)
    for _ in range(20):
        predictions, _ = world.draw(rng)
        sets = calibrate_label(
            event, predictions.probabilities, predictions.labels, 0.9, set_on=CALIBRATION, groups=None
        )
        assert sets is not None
        inside = sets.sets(new.probabilities)
        ruled_out.append(1 - inside[new.labels[:, 0] == 1, 1].mean())
        if (predictions.labels[:, 0] == 1).sum() < 9:
            assert sets.quantile is None
            assert inside[:, 1].all()
    assert np.mean(ruled_out) <= 0.1 + 0.02
