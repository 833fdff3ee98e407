"""The figures of one reading, on predictions that are made up: what they are of, and that they are JSON."""

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
from medray.errors import DataError, RunError
from medray.evaluate import measure_models
from medray.evaluate.evaluated_models import ENSEMBLE, Contestant, combine, networks_of
from medray.evaluate.measure_models import Decisions, all_figures, check_resamples, read_decisions
from medray.runs.rundir import RunDir
from medray.stats import metrics


def made_up(labels: Array, names: tuple[str, ...], **more: Any) -> ImageDataset:
    """Images that show nothing, all of the test split."""
    images, positions = np.zeros((len(labels), 1, 1, 1), np.uint8), np.arange(len(labels))
    return ImageDataset(images, labels.astype(np.int64), names, {"test": positions}, "made up", **more)


def measured(
    dataset: ImageDataset, predictions: dict[str, Array], metric: str = "auc", **more: Any
) -> dict[str, Any]:
    contestants = [Contestant(name, (((0, None), 1.0),), 1.0) for name in predictions]
    decisions = more.pop("decisions", Decisions((), ()))
    positions = dataset.splits["test"]
    return all_figures(dataset, positions, predictions, contestants, decisions, metric, more.pop("seed", 0))


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
    found = measured(dataset, predictions, metric)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for model in found["models"]:
        expected = metrics.evaluate(predictions[model["name"]], dataset.labels)
        for name, value in expected.items():
            own = model["scores"][name]["value"]
            assert own is None if np.isnan(value) else own == pytest.approx(value, abs=1e-9)
    assert [row["metric"] for row in found["comparisons"]] == [metric, "accuracy"]
    assert np.sum(found["confusion_matrix"]) == images
    assert set(found["subgroups"]) == set(subgroups)


def test_the_order_of_the_images_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 3, size=40), drawn(rng, 40, 3)
    names, shuffled = ("a", "b", "c"), rng.permutation(40)
    one = measured(made_up(labels, names), {ENSEMBLE: probabilities})
    other = measured(made_up(labels[shuffled], names), {ENSEMBLE: probabilities[shuffled]})
    for name, score in one["models"][0]["scores"].items():
        assert score["value"] == pytest.approx(other["models"][0]["scores"][name]["value"], abs=1e-9)
    assert one["confusion_matrix"] == other["confusion_matrix"]


def test_only_the_images_at_the_positions_are_measured() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 2, size=30), drawn(rng, 10, 2)
    images, test = np.zeros((30, 1, 1, 1), np.uint8), np.arange(20, 30)
    dataset = ImageDataset(
        images, labels, ("a", "b"), {"train": np.arange(20), "test": test}, "made up",
        groups=np.repeat(np.arange(15), 2), subgroups={"site": np.repeat(["x", "y", "z"], 10)},
    )  # fmt: skip
    found = measured(dataset, {ENSEMBLE: probabilities})
    assert (found["images"], found["patients"]) == (10, 5)
    assert [row["value"] for row in found["subgroups"]["site"]] == ["z"]
    accuracy = found["models"][0]["scores"]["accuracy"]["value"]
    assert accuracy == (probabilities.argmax(axis=1) == labels[test]).mean()


def test_points_and_sets_are_applied_as_they_were_set() -> None:
    rng = np.random.default_rng(1)
    names, labels = ("benign", "malignant"), rng.integers(0, 2, size=60)
    val, test = drawn(rng, 60, 2), drawn(rng, 60, 2)
    point = set_point(Rule("sensitivity", 0.9), val, labels, names, "benign", "val")
    sets = calibrate(val, labels, 0.8)
    found = measured(made_up(labels, names), {ENSEMBLE: test}, decisions=Decisions((point,), (sets,)))
    shown = found["operating_points"][0]
    assert {name: shown[name] for name in point.to_dict()} == point.to_dict()
    assert shown["test"]["tp"] == ((test[:, 0].astype(np.float64) >= point.threshold) & (labels == 0)).sum()
    own = sets.sets(test)
    assert found["conformal_sets"][0]["quantile"] == sets.quantile
    assert found["conformal_sets"][0]["test"]["covered"]["count"] == own[np.arange(60), labels].sum()


def test_a_calibration_error_has_no_interval_as_a_resamples_lies_too_high(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_models, "RESAMPLES", 200)
    labels = np.tile([0, 1], 50)
    honest = np.full((100, 2), 0.5, np.float32)  # right half of the time: an error of 0, which no resample has
    score = measured(made_up(labels, ("a", "b")), {ENSEMBLE: honest})["models"][0]["scores"]["calibration_error"]
    assert score == {"value": 0.0, "low": None, "high": None, "resamples_used": 200}


def test_what_cannot_be_resampled_is_told_without_the_labels() -> None:
    names = ("a", "b")
    with pytest.raises(DataError, match="1 image to draw from"):
        check_resamples(made_up(np.array([0]), names), np.arange(1))
    with pytest.raises(DataError, match="1 patient to draw from"):
        check_resamples(made_up(np.array([0, 1]), names, groups=np.array(["p", "p"])), np.arange(2))
    with pytest.raises(DataError, match="1 of 2 images have no patient"):
        check_resamples(made_up(np.array([0, 1]), names, groups=np.array(["p", ""])), np.arange(2))
    check_resamples(made_up(np.array([0, 1]), names), np.arange(2))


def test_decisions_of_another_class_are_refused() -> None:
    labels = np.tile([0, 1], 30)
    point = set_point(Rule("youden"), drawn(np.random.default_rng(0), 60, 2), labels, ("a", "b"), "b", "val")
    whole = {"class_names": ["a", "b"], "operating_points": [point.to_dict()], "conformal_sets": []}
    run = RunDir("/nowhere")
    assert read_decisions(run, whole).points == (point,)
    with pytest.raises(RunError, match="class 1 is not 'b'"):
        read_decisions(run, {**whole, "class_names": ["b", "a"]})
    with pytest.raises(RunError, match=r"manifest\.json is damaged: IndexError"):
        read_decisions(run, {**whole, "class_names": ["b"]})


def test_a_contestant_averages_by_weight_and_then_cools() -> None:
    rng = np.random.default_rng(0)
    answers = {(0, None): drawn(rng, 5, 3), (1, 0): drawn(rng, 5, 3)}
    members = tuple(zip(answers, (0.25, 0.75), strict=True))
    plain = combine(Contestant("plain", members, 1.0), answers)
    expected = 0.25 * answers[0, None].astype(np.float64) + 0.75 * answers[1, 0]
    assert np.allclose(plain, expected, atol=1e-6)
    cooled = combine(Contestant("cooled", members, 0.5), answers)
    assert np.allclose(cooled, expected**2 / (expected**2).sum(axis=1, keepdims=True), atol=1e-6)
    assert networks_of([Contestant("a", members, 1.0), Contestant("b", members[:1], 1.0)]) == list(answers)
