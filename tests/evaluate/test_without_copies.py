"""Scores without the test images that the ensemble may have seen: copies, and patients, in another split."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medray.audit.findings import Finding
from medray.data.dataset import ImageDataset
from medray.evaluate.without_copies import copied_images
from tests.evaluate.conftest import WithData, answer, ask

LEAK = Finding("duplicates_across_splits", "leak", "images with duplicates in another split", 6)


def allow_leak(run: Path) -> None:
    """As a search with --allow-leaks leaves it."""
    facts = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps(facts | {"leaks": [LEAK.to_dict()]}))


def with_copies(run: Path, with_data: WithData, hard_npz: Path, count: int, **more: Any) -> None:
    """Let the first `count` test images be copies of images of train and val."""
    with np.load(hard_npz) as file:
        images, seen = file["test_images"].copy(), np.concatenate([file["train_images"], file["val_images"]])
    images[:count] = seen[::-3][:count]
    with_data(test_images=images, **more)
    allow_leak(run)


def test_the_ensemble_is_measured_without_copies_too(run: Path, with_data: WithData, hard_npz: Path) -> None:
    with_copies(run, with_data, hard_npz, 3)
    document = answer(run)
    with np.load(run / "evaluation/read_0001/test_predictions.npz") as stored:
        probabilities, labels = stored["model_0"][3:], stored["labels"][3:]
    without = document["without_copies"]
    assert (without["images"], without["copies"], document["images"]) == (21, 3, 24)
    scores = without["scores"]
    assert set(scores) == {"auc", "accuracy"}
    auc = sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr")
    assert scores["auc"]["value"] == pytest.approx(auc, abs=1e-6)
    assert scores["accuracy"]["value"] == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    assert scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"]
    assert (scores["auc"]["low"], scores["auc"]["reason"]) == (None, "7 images of a class: too few")
    assert scores["accuracy"] != document["models"][0]["scores"]["accuracy"]
    shown = ask(run).stdout
    beginning = (
        "3 test images have a copy, or the same patient, in another split; without them the ensemble has, on 21"
    )
    assert f"{beginning} images: AUC {scores['auc']['value']:.3f}," in shown
    assert f"accuracy {scores['accuracy']['value']:.3f} [" in shown


def test_where_too_few_are_left_there_are_no_scores(run: Path, with_data: WithData, hard_npz: Path) -> None:
    with_copies(run, with_data, hard_npz, 5)
    without = answer(run)["without_copies"]
    assert without == {"images": 19, "copies": 5, "scores": {}}
    assert "without them too few are left to be measured: 19 images." in ask(run).stdout


def test_patients_who_are_in_train_are_left_out(run: Path, with_data: WithData) -> None:
    groups = {split: np.arange(count) // 2 for split, count in (("train", 48), ("val", 24), ("test", 24))}
    with_data(train_groups=groups["train"], val_groups=groups["val"] + 100, test_groups=groups["test"] + 23)
    allow_leak(run)
    document = answer(run)
    assert document["patients"] == 12
    without = document["without_copies"]
    assert (without["images"], without["copies"]) == (22, 2)  # patient 23
    assert without["scores"]["auc"]["low"] is None  # of 11 patients, but fewer of a class
    assert without["scores"]["accuracy"]["low"] is not None


def test_data_without_leaks_have_no_second_scores(run: Path) -> None:
    assert answer(run)["without_copies"] is None
    assert "have a copy" not in ask(run).stdout
    allow_leak(run)  # of train and val alone
    assert answer(run, "--again")["without_copies"] is None


def test_copies_are_those_of_other_splits_over_any_number_of_steps() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(8, 24, 24, 1), dtype=np.uint8)
    images[4] = images[0]  # test and train
    images[6] = images[5]  # both in test
    labels, patients = np.arange(8) % 2, np.array(["a", "b", "c", "d", "e", "f", "g", "b"])
    splits = {"train": np.arange(2), "val": np.array([2]), "test": np.array([4, 5, 6, 7])}  # 3 is in none
    dataset = ImageDataset(images, labels, ("x", "y"), splits, "made up", groups=patients)
    assert copied_images(dataset).tolist() == [True, False, False, True]
    patients[5] = "c"  # so is its copy, 6, by way of it
    dataset = ImageDataset(images, labels, ("x", "y"), splits, "made up", groups=patients)
    assert copied_images(dataset).tolist() == [True, True, True, True]
