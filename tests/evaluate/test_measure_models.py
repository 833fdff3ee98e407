"""The scores of one read of the test split, on synthetic predictions."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.decisions.conformal import calibrate
from medray.decisions.thresholds import Rule, set_point
from medray.errors import DataError
from medray.evaluate import measure_models
from medray.evaluate.evaluated_models import ENSEMBLE, EvaluatedModel, network_keys
from medray.evaluate.measure_models import check_resamples
from medray.evaluate.scores_document import Scores
from medray.stats.bootstrap import Estimate
from medray.tasks import SINGLE


def made_up(labels: Array, names: tuple[str, ...], **more: Any) -> ImageDataset:
    """Images that show nothing, all of the test split."""
    images, positions = np.zeros((len(labels), 1, 1, 1), np.uint8), np.arange(len(labels))
    return ImageDataset(images, labels.astype(np.int64), names, {"test": positions}, "made up", **more)


def measured(
    dataset: ImageDataset, predictions: dict[str, Array], metric: str = "auc", **decisions: Any
) -> Scores:
    models = [EvaluatedModel(name, (((0, None), 1.0),)) for name in predictions]
    positions = dataset.splits["test"]
    return measure_models.measure_models(dataset, positions, predictions, models, "single", metric, 0, **decisions)


def drawn(rng: np.random.Generator, images: int, classes: int) -> Array:
    return rng.dirichlet(np.ones(classes), size=images).astype(np.float32)


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 5), st.integers(2, 30), st.integers(0, 2**32 - 1), st.sampled_from(["auc", "log_loss"]))
def test_figures_of_any_predictions_are_json_and_those_of_training(
    classes: int, images: int, seed: int, metric: str
) -> None:
    """Whichever classes are missing, and whether or not patients and subgroups are known."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, classes + 1), size=images)
    groups = np.arange(images) // 2 + (images == 2) * np.arange(images) if rng.integers(2) else None
    subgroups = {"sex": rng.choice(["f", "m"], size=images)} if rng.integers(2) else {}
    dataset = made_up(labels, tuple(map(str, range(classes))), groups=groups, subgroups=subgroups)
    predictions = {ENSEMBLE: drawn(rng, images, classes), "other": drawn(rng, images, classes)}
    if groups is not None and len(np.unique(groups)) < 2:
        return
    scores = measured(dataset, predictions, metric)
    assert Scores.from_dict(json.loads(json.dumps(scores.to_dict(), allow_nan=False))) == scores
    for model in scores.models:
        expected = SINGLE.measure(predictions[model.name], dataset.labels)
        for name, value in expected.items():
            measured_value = model.scores[name].value
            assert measured_value is None if np.isnan(value) else measured_value == pytest.approx(value, abs=1e-9)
    assert [row.metric for row in scores.comparisons] == [metric, "accuracy"]
    assert np.sum(scores.confusion_matrix) == images
    assert set(scores.subgroups) == set(subgroups)


def test_the_order_of_the_images_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 3, size=40), drawn(rng, 40, 3)
    names, shuffled = ("a", "b", "c"), rng.permutation(40)
    one = measured(made_up(labels, names), {ENSEMBLE: probabilities})
    other = measured(made_up(labels[shuffled], names), {ENSEMBLE: probabilities[shuffled]})
    for name, score in one.models[0].scores.items():
        assert score.value == pytest.approx(other.models[0].scores[name].value, abs=1e-9)
    assert one.confusion_matrix == other.confusion_matrix


def test_only_the_images_at_the_positions_are_measured() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 2, size=30), drawn(rng, 10, 2)
    images, test = np.zeros((30, 1, 1, 1), np.uint8), np.arange(20, 30)
    dataset = ImageDataset(
        images, labels, ("a", "b"), {"train": np.arange(20), "test": test}, "made up",
        groups=np.repeat(np.arange(15), 2), subgroups={"site": np.repeat(["x", "y", "z"], 10)},
    )  # fmt: skip
    scores = measured(dataset, {ENSEMBLE: probabilities})
    assert (scores.images, scores.patients) == (10, 5)
    assert [row.value for row in scores.subgroups["site"]] == ["z"]
    accuracy = scores.models[0].scores["accuracy"].value
    assert accuracy == (probabilities.argmax(axis=1) == labels[test]).mean()


def test_points_and_sets_are_applied_as_they_were_set() -> None:
    rng = np.random.default_rng(1)
    names, labels = ("benign", "malignant"), rng.integers(0, 2, size=60)
    val, test = drawn(rng, 60, 2), drawn(rng, 60, 2)
    point = set_point(Rule("sensitivity", 0.9), val, labels, names, "benign", "val")
    sets = calibrate(val, labels, 0.8, "lac")
    scores = measured(made_up(labels, names), {ENSEMBLE: test}, points=[point], conformal=[sets])
    (on_test,) = scores.operating_points
    assert {name: getattr(on_test, name) for name in vars(point)} == vars(point)
    assert on_test.test.tp == ((test[:, 0].astype(np.float64) >= point.threshold) & (labels == 0)).sum()
    test_sets = sets.sets(test)
    assert scores.conformal_sets[0].quantile == sets.quantile
    assert scores.conformal_sets[0].test.covered.count == test_sets[np.arange(60), labels].sum()


def test_a_calibration_error_has_no_interval_as_a_resamples_lies_too_high(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_models, "RESAMPLES", 200)
    labels = np.tile([0, 1], 50)
    honest = np.full((100, 2), 0.5, np.float32)  # right half of the time: an error of 0, which no resample has
    score = measured(made_up(labels, ("a", "b")), {ENSEMBLE: honest}).models[0].scores["calibration_error"]
    assert score == Estimate(0.0, None, None, "a resample's own noise would bias it")


def test_what_cannot_be_resampled_is_told_without_the_labels() -> None:
    names = ("a", "b")
    with pytest.raises(DataError, match="1 image to draw from"):
        check_resamples(made_up(np.array([0]), names), np.arange(1))
    with pytest.raises(DataError, match="1 patient to draw from"):
        check_resamples(made_up(np.array([0, 1]), names, groups=np.array(["p", "p"])), np.arange(2))
    with pytest.raises(DataError, match="1 of 2 images have no patient"):
        check_resamples(made_up(np.array([0, 1]), names, groups=np.array(["p", ""])), np.arange(2))
    check_resamples(made_up(np.array([0, 1]), names), np.arange(2))


def test_a_model_averages_by_weight_and_then_applies_its_temperature() -> None:
    rng = np.random.default_rng(0)
    predictions = {(0, None): drawn(rng, 5, 3), (1, 0): drawn(rng, 5, 3)}
    members = tuple(zip(predictions, (0.25, 0.75), strict=True))
    plain = EvaluatedModel("plain", members).combine(predictions)
    expected = 0.25 * predictions[0, None].astype(np.float64) + 0.75 * predictions[1, 0]
    assert np.allclose(plain, expected, atol=1e-6)
    cooled = EvaluatedModel("cooled", members, (0.5,)).combine(predictions)
    assert np.allclose(cooled, expected**2 / (expected**2).sum(axis=1, keepdims=True), atol=1e-6)
    assert network_keys([EvaluatedModel("a", members), EvaluatedModel("b", members[:1])]) == list(predictions)
