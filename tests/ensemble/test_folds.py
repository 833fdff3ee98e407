"""Ensembles of a cross-validated run: a setting stands for the models of all its folds."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from medray import Ensemble
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.decisions.thresholds import Rule
from medray.ensemble.averaging import average
from medray.ensemble.build_ensemble import EnsembleOptions, EnsembleResult, run_ensemble
from medray.errors import ConfigError, MedrayError, RunError
from medray.runs.fold_results import pool_folds, read_crossval_trials
from medray.runs.rundir import RunDir


@pytest.fixture
def folded(folded_run: Path, tmp_path: Path) -> Path:
    """A copy of a run with two settings on three folds."""
    return Path(shutil.copytree(folded_run, tmp_path / "found"))


def make(run: Path, **options: Any) -> EnsembleResult:
    return run_ensemble(EnsembleOptions(str(run), **options), Console(file=io.StringIO()))


def members_of(run: Path) -> list[dict[str, Any]]:
    members: list[dict[str, Any]] = json.loads((run / "ensemble/manifest.json").read_text())["members"]
    return members


def test_every_selection_of_both_sources_is_there(folded: Path) -> None:
    result = make(folded)
    selections = [
        (selection.strategy, selection.source, len(selection.members), len(selection.labels))
        for selection in result.selections
    ]
    assert [entry for entry in selections if entry[0] != "greedy"] == [
        ("single", "trials", 1, 24), ("top-k", "trials", 4, 24), ("folds", "folds", 3, 72), ("top-k", "folds", 6, 72),
    ]  # fmt: skip
    assert [entry[:2] for entry in selections if entry[0] == "greedy"] == [
        ("greedy", "trials"),
        ("greedy", "folds"),
    ]
    assert (result.selected.strategy, result.selected.source) == ("top-k", "folds")  # folds where there are any
    assert make(folded, source="trials").selected.selected_on == "val"


def test_folds_is_the_best_setting_with_a_fresh_model_for_each_fold(folded: Path) -> None:
    result = make(folded, strategy="folds")
    best = read_crossval_trials(RunDir(str(folded)))[0]
    members = members_of(folded)
    assert [(m["trial"], m["fold"]) for m in members] == [(best.number, fold) for fold in range(3)]
    assert [m["weight"] for m in members] == pytest.approx([1 / 3] * 3)
    contents = {hashlib.sha256((folded / "ensemble" / m["file"]).read_bytes()).hexdigest() for m in members}
    assert contents == {m["sha256"] for m in members}
    assert len(contents) == 3
    assert len({m["config"]["seed"] for m in members}) == 3
    trial = folded / f"trials/{best.number:04d}"
    assert hashlib.sha256((trial / "weights.safetensors").read_bytes()).hexdigest() not in contents
    assert np.allclose(result.selected.probabilities, best.probabilities, atol=1e-6)
    assert np.array_equal(result.selected.labels, best.labels)


def test_top_k_of_folds_holds_every_fold_of_every_setting(folded: Path, dataset: ImageDataset) -> None:
    result = make(folded, strategy="top-k", rules=(Rule("sensitivity", 0.9),), positive="2")
    settings = read_crossval_trials(RunDir(str(folded)))
    members = members_of(folded)
    assert [(m["trial"], m["fold"]) for m in members] == [(s.number, f) for s in settings for f in range(3)]
    assert sum(m["weight"] for m in members) == pytest.approx(1)
    assert {m["file"] for m in members} == {
        f"members/{m['trial']:04d}_fold_{m['fold']}.safetensors" for m in members
    }
    assert np.allclose(result.selected.probabilities, average([s.probabilities for s in settings]), atol=1e-6)
    assert result.manifest.selected_on.predictions == "out-of-fold"
    assert (result.manifest.operating_points[0].set_on, result.manifest.operating_points[0].images) == (
        "out-of-fold",
        72,
    )
    loaded = Ensemble.load(folded / "ensemble")
    images, _ = dataset.split("val").take(np.arange(24))
    parts = [outputs.probabilities for outputs in loaded.member_outputs(images)]
    assert len({part.tobytes() for part in parts}) == 6
    prediction = loaded.predict(images)
    decided = prediction.probabilities[:, 2].astype(np.float64) >= result.manifest.operating_points[0].threshold
    assert np.array_equal(prediction.decide(), decided)


def test_folds_of_trials_is_no_selection(folded: Path) -> None:
    with pytest.raises(
        ConfigError, match="--strategy folds averages the folds of one setting: it needs --from folds"
    ):
        make(folded, strategy="folds", source="trials")


def test_a_setting_that_is_not_whole_is_left_out(folded: Path) -> None:
    run = RunDir(str(folded))
    best, other = (setting.number for setting in read_crossval_trials(run))
    (folded / f"crossval/{best:04d}/summary.json").unlink()
    assert [setting.number for setting in read_crossval_trials(run)] == [other]
    assert {member.trial for member in make(folded).manifest.members} == {other}
    (folded / f"crossval/{other:04d}/summary.json").unlink()
    with pytest.raises(RunError, match=r"--from folds: .* has no finished cross-validation"):
        make(folded, source="folds")
    assert make(folded).selected.source == "trials"


def repack(path: Path, how: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | how(arrays))


def with_nan(arrays: dict[str, Any]) -> dict[str, Any]:
    probabilities = arrays["probabilities"].copy()
    probabilities[3, 0] = np.nan
    return {"probabilities": probabilities}


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no predictions": (lambda home: (home / "out_of_fold.npz").unlink(), r"out_of_fold\.npz can't be read"),
    "torn": (
        lambda home: (home / "out_of_fold.npz").write_bytes(b"PK\x03\x04"),
        r"out_of_fold\.npz can't be read",
    ),
    "NaN": (lambda home: repack(home / "out_of_fold.npz", with_nan), "is damaged: probabilities of image 3"),
    "other images": (
        lambda home: repack(home / "out_of_fold.npz", lambda a: {"positions": a["positions"][::-1]}),
        "is of other images than .*folds.json holds out",
    ),
    "a fold gone": (
        lambda home: shutil.rmtree(home / "fold_1"),
        "one of its folds is missing: cross-validate with",
    ),
    "weights gone": (
        lambda home: (home / "fold_1/weights.safetensors").unlink(),
        "weights.safetensors is missing",
    ),
    "no folds": (lambda home: (home.parent / "folds.json").write_text('{"folds": []}'), r"folds\.json is damaged"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_cross_validation_is_refused(folded: Path, name: str) -> None:
    how, message = DAMAGES[name]
    how(folded / f"crossval/{read_crossval_trials(RunDir(str(folded)))[0].number:04d}")
    with pytest.raises(MedrayError, match=message) as caught:
        make(folded, strategy="folds")
    assert "\n" not in str(caught.value)


def test_folds_that_were_measured_on_other_images_are_not_put_together(
    folded: Path, dataset: ImageDataset
) -> None:
    run = RunDir(str(folded))
    setting = read_crossval_trials(run)[0]
    folds = Folds.from_dict(json.loads((folded / "crossval/folds.json").read_text()), "folds.json")
    joined = pool_folds(run, setting.number, folds, dataset.labels)
    assert not isinstance(joined, str)
    assert np.array_equal(joined.probabilities, setting.probabilities)
    path = folded / f"crossval/{setting.number:04d}/fold_2/val_predictions.npz"
    repack(path, lambda a: {"labels": a["labels"][::-1]})
    with pytest.raises(RunError, match=r"fold_2/val_predictions\.npz is of other images than fold 2"):
        pool_folds(run, setting.number, folds, dataset.labels)
