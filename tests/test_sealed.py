"""The test split is sealed: whatever stands in it, a study trains, selects, calibrates and folds the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medray
from medray.decisions.thresholds import OperatingPoint
from tests.conftest import write_npz

pytestmark = pytest.mark.component

SPACE = """
name: sealed
data: phantom
objective: {metric: auc}
budget: {trials: 3, max_epochs: 2, grace_epochs: 1, reduction_factor: 2, patience: null}
splits: {calibration: 0.25}
space:
  learning_rate: {log: [0.0005, 0.02]}
  backbone: {choice: [lenet5, resnet8_small]}
"""
EVERYTHING = ("trials", "crossval", "ensemble", "leaderboard.csv", "selection.json")


def poisoned(clean: Path, path: Path) -> Path:
    """Invert the test labels, replace half of the test images by noise and the other half by training images."""
    with np.load(clean) as arrays:
        content = dict(arrays)
    half = len(content["test_images"]) // 2
    noise = np.random.default_rng(5).integers(0, 256, size=content["test_images"].shape, dtype=np.uint8)
    content["test_images"] = np.concatenate([content["train_images"][:half], noise[half:]])
    content["test_labels"] = 2 - content["test_labels"]
    np.savez(path, **content)
    return path


def contents(run: Path) -> dict[str, Any]:
    """The content of each file that a study leaves before it reads the test split, without times and sources."""
    files = [path for name in EVERYTHING for path in [run / name, *(run / name).rglob("*")] if path.is_file()]
    read: dict[str, Any] = {}
    for path in files:
        name = str(path.relative_to(run))
        if path.suffix == ".json":
            read[name] = without_times(json.loads(path.read_text()))
        elif path.suffix in (".safetensors", ".npz"):
            read[name] = path.read_bytes()
    return read


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        left_out = ("data", "seconds", "started", "ended", "splits", "memory", "timing")
        return {key: without_times(part) for key, part in value.items() if key not in left_out}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def test_nothing_changes_with_what_stands_in_the_test_split(tmp_path: Path) -> None:
    clean = write_npz(tmp_path / "clean.npz", train=96)
    (tmp_path / "sealed.yaml").write_text(SPACE)
    runs = []
    for data in (clean, poisoned(clean, tmp_path / "poisoned.npz")):
        run = tmp_path / data.stem
        study = medray.Study(tmp_path / "sealed.yaml", data=data, out=run, runner="local", quiet=True)
        study.search(allow_leaks=True)
        study.crossval(top=2, folds=2)
        study.ensemble(sensitivity=[0.8], positive="0", coverages=[0.8])
        runs.append(contents(run))
    assert runs[0].keys() == runs[1].keys()
    assert [name for name in runs[0] if runs[0][name] != runs[1][name]] == []
    manifest = runs[0]["ensemble/manifest.json"]
    assert manifest["calibrated_on"] == "calibration"
    point = OperatingPoint.from_dict(
        json.loads((run / "ensemble/manifest.json").read_text())["operating_points"][0]
    )
    assert (point.set_on, point.promised) == ("calibration", 0.8)
    assert point.rates.sensitivity.low is not None
    assert len(manifest["members"]) in (2, 4)  # two folds of each setting that is not clearly worse
