"""What `medray evaluate` does not measure: one line each, and nothing is lost."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from medray.runs.folder import Folder
from medray.runs.lock import held
from medray.runs.rundir import RunDir
from tests.evaluate.conftest import (
    AFTERWARDS,
    WithData,
    answer,
    ask,
    content,
    make_ensemble,
    refused,
    stored_read_names,
)


def test_no_run_is_named_with_the_nearest(run: Path) -> None:
    line = refused(ask(run.parent / "ensembeld"))
    assert "is no run of medray: it has no run.json (did you mean 'ensembled'?)" in line


def test_a_run_without_an_ensemble_is_told_how_to_get_one(finished_run: Path) -> None:
    line = refused(ask(finished_run))
    assert f"has no ensemble; first: medray ensemble {finished_run}" in line
    assert stored_read_names(finished_run) == []


def test_other_data_is_refused(run: Path, hard_npz: Path, tmp_path: Path) -> None:
    with np.load(hard_npz) as file:
        arrays = {**file, "test_images": file["test_images"] ^ 1}
    np.savez(tmp_path / "other.npz", **arrays)
    line = refused(ask(run, "--data", tmp_path / "other.npz"))
    assert "other.npz is not the data of " in line
    assert "no such file: " in refused(ask(run, "--data", tmp_path / "nowhere.npz"))
    assert stored_read_names(run) == []
    moved = shutil.copy(hard_npz, tmp_path / "moved.npz")
    assert answer(run, "--data", moved)["times_read"] == 1


def test_an_empty_test_split_is_refused(run: Path, with_data: WithData) -> None:
    with_data(test_images=np.zeros((0, 12, 12), np.uint8), test_labels=np.zeros((0, 1), np.int64))
    assert "split 'test' is empty" in refused(ask(run))
    assert stored_read_names(run) == []


def test_one_test_image_is_refused(run: Path, with_data: WithData) -> None:
    with_data(test_images=np.zeros((1, 12, 12), np.uint8), test_labels=np.zeros((1, 1), np.int64))
    assert "1 image to draw from: a bootstrap needs at least two" in refused(ask(run))
    assert stored_read_names(run) == []


def test_a_class_without_test_images_leaves_gaps_and_no_nan(
    run: Path, with_data: WithData, hard_npz: Path
) -> None:
    with np.load(hard_npz) as file:
        images, labels = file["test_images"], file["test_labels"]
    there = labels[:, 0] != 1  # the class that the operating points call
    with_data(test_images=images[there], test_labels=labels[there])
    document = answer(run)
    assert document["models"][0]["scores"]["auc"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "0 images of a class: too few",
    }
    assert document["models"][0]["scores"]["accuracy"]["value"] is not None
    assert [row["auc"]["value"] is None for row in document["per_class"]] == [False, True, False]
    assert document["operating_points"][0]["test"]["sensitivity"]["value"] is None
    assert document["operating_points"][0]["test"]["specificity"]["value"] is not None
    undefined = next(row for row in document["comparisons"] if row["metric"] == "auc")
    assert undefined["difference"] is undefined["p"] is None
    shown = ask(run)
    assert shown.exit_code == 0, shown.output
    row = next(line for line in shown.stdout.splitlines() if line.startswith(" ensemble (3 networks)"))
    assert row.split()[3] == "–"
    assert "nan" not in shown.stdout.lower()


def member(run: Path) -> Path:
    """The weights of the ensemble's first member, where it was trained."""
    first = json.loads((run / "ensemble/manifest.json").read_text())["members"][0]
    return run / f"trials/{first['trial']:04d}/weights.safetensors"


def test_missing_and_damaged_weights_are_named(run: Path) -> None:
    weights = member(run)
    whole = weights.read_bytes()
    weights.unlink()
    assert f"{weights} is missing" in refused(ask(run))
    weights.write_bytes(whole[:-4] + b"\x00\x00\x00\x01")
    assert f"{weights} is not what the ensemble was made of" in refused(ask(run))
    weights.write_bytes(whole)
    baseline = run / "trials/0000/weights.safetensors"
    if baseline != weights:
        baseline.write_bytes(b"short")
        assert f"{baseline} holds no weights of medray" in refused(ask(run))
    assert stored_read_names(run) == []


def test_weights_of_another_trial_are_not_measured_in_a_baselines_name(run: Path) -> None:
    """Trial 2 has the baseline's architecture, so that its weights would fit."""
    trial = run / "trials/0000/trial.json"
    trial.write_text(json.dumps({**json.loads(trial.read_text()), "objective": 0.0}))  # no member, by any way
    make_ensemble(run, top_k=1)
    weights = run / "trials/0000/weights.safetensors"
    assert weights != member(run)
    shutil.copy(run / "trials/0002/weights.safetensors", weights)
    assert f"{weights} is of another training than " in refused(ask(run))
    assert stored_read_names(run) == []


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"ensemble": "x"}', ""])
def test_damaged_figures_are_named_and_can_be_read_anew(run: Path, damage: str) -> None:
    answer(run)
    scores = run / "evaluation/read_0001/scores.json"
    scores.write_text(damage)
    assert f"{scores}" in refused(ask(run))
    assert answer(run, "--again")["times_read"] == 2
    assert answer(run)["from_store"]  # the damaged one is not in the way of the good one


def test_figures_that_are_damaged_further_down_are_named(run: Path) -> None:
    document = answer(run)
    scores = run / "evaluation/read_0001/scores.json"
    stored = json.loads(scores.read_text())
    del stored["models"][0]["scores"]["auc"]
    scores.write_text(json.dumps(stored))
    assert f"{scores}: damaged: the scores of 'ensemble' lack 'auc'" in refused(ask(run))
    assert document["times_read"] == 1


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ensemble/manifest.json", "members"),
        ("ensemble/manifest.json", "temperatures"),
        ("ensemble/manifest.json", "operating_points"),
        ("selection.json", "selections"),
        ("selection.json", "selected"),
    ],
)
def test_a_damaged_ensemble_is_named(run: Path, name: str, key: str) -> None:
    stored = json.loads((run / name).read_text())
    del stored[key]
    (run / name).write_text(json.dumps(stored))
    line = refused(ask(run))
    assert f"{run / name}: damaged: " in line
    assert f"'{key}'" in line
    (run / name).write_text("[]")
    assert f"{run / name}" in refused(ask(run))
    assert stored_read_names(run) == []


def test_ways_of_another_ensemble_are_refused(run: Path) -> None:
    """As `search --resume` leaves them, or a crash between the two files."""
    old = (run / "selection.json").read_bytes()
    make_ensemble(run, strategy="greedy")
    (run / "selection.json").write_bytes(old)
    line = refused(ask(run))
    assert "selection.json is of another ensemble than the one in " in line
    assert f"make both anew: medray ensemble {run}" in line
    assert stored_read_names(run) == []


@pytest.mark.parametrize(("full_at", "counted"), [("begun.json", 0), ("scores.json", 1)])
def test_a_full_disk_is_one_line(run: Path, monkeypatch: pytest.MonkeyPatch, full_at: str, counted: int) -> None:
    before = content(run)
    write = Folder.write

    def full(self: Folder, name: str, data: bytes) -> None:
        if name == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", full)
        assert "No space left on device" in refused(ask(run))
    assert content(run, AFTERWARDS) == before
    assert answer(run, *(["--again"] * counted))["times_read"] == counted + 1


def test_a_file_in_the_place_of_the_folder_is_one_line(run: Path) -> None:
    (run / AFTERWARDS).write_text("mine")
    refused(ask(run))
    assert (run / AFTERWARDS).read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to a read-only folder all the same")
def test_a_read_only_run_is_one_line(run: Path) -> None:
    run.chmod(0o555)
    try:
        assert "can't be written" in refused(ask(run))
    finally:
        run.chmod(0o755)


def test_a_run_in_which_another_command_works_is_left_alone(run: Path) -> None:
    with held(RunDir(str(run)), Console(quiet=True)):
        assert "another command is working in " in refused(ask(run))
    assert stored_read_names(run) == []
