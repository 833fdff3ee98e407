"""Nested cross-validation: the held-out images stay outside the fold's search, its scores, resuming, refusals."""

import io
import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file

import medray
from medray.config import TrainConfig
from medray.crossval.nested.plan_nested import NestedOptions, outer_folds
from medray.crossval.nested.run_nested import NestedResult, run_nested
from medray.data.calibration_split import with_calibration
from medray.data.folds import make_folds
from medray.data.load_data import load_data
from medray.errors import DataError, RunError
from medray.runs.nested_results import NestedScores, read_nested
from medray.runs.rundir import RunDir
from medray.stats.metrics import all_metrics
from medray.training.models import build_network
from tests.conftest import Command, write_npz

pytestmark = pytest.mark.component

Start = Callable[..., Command]

SPACE = """
name: nested
data: phantom
objective: {metric: auc}
budget: {trials: 2, max_epochs: 2, grace_epochs: 1, reduction_factor: 2, patience: null}
splits: {calibration: 0.25}
space:
  learning_rate: {log: [0.0005, 0.02]}
  batch_size: {choice: [8]}
  backbone: {choice: [lenet5, resnet8_small]}
"""


def search(folder: Path, data: Path, space: str = SPACE) -> Path:
    """A finished search of two trials on `data`."""
    (folder / "nested.yaml").write_text(space)
    out = folder / f"run_{data.stem}"
    study = medray.Study(folder / "nested.yaml", data=data, out=out, runner="local", quiet=True)
    study.search(allow_leaks=True)
    return out


def nested(run: Path, **options: Any) -> NestedResult:
    return run_nested(NestedOptions(str(run), **{"runner": "local", **options}), Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nested")
    return search(folder, write_npz(folder / "clean.npz", train=96))


@pytest.fixture(scope="module")
def measured(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a nested cross-validation of two outer folds."""
    run = Path(shutil.copytree(searched, tmp_path_factory.mktemp("measured") / "run"))
    assert nested(run, folds=2).left == 0
    return run


def held_out(run: Path, fold: int) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(run / f"crossval/nested/fold_{fold}/held_out.npz") as arrays:
        return dict(arrays)


def test_each_outer_fold_is_measured_on_images_that_its_search_never_had(measured: Path) -> None:
    run = RunDir(str(measured))
    pool = np.concatenate([run.read_splits()[name] for name in ("train", "val")])
    seen = []
    for number in range(2):
        splits, out = run.nested.fold(number).read_splits(), held_out(measured, number)
        assert set(splits) == {"train", "val", "calibration"}
        assert splits["calibration"].tolist() == run.read_splits()["calibration"].tolist()
        parts = [splits["train"], splits["val"], out["positions"]]
        assert sorted(np.concatenate(parts).tolist()) == sorted(pool.tolist())
        assert len(splits["val"]) / len(np.concatenate(parts[:2])) == pytest.approx(24 / len(pool), abs=0.05)
        seen += out["positions"].tolist()
    assert sorted(seen) == sorted(pool.tolist())


def test_the_scores_are_those_of_the_held_out_predictions(measured: Path) -> None:
    scores = read_nested(RunDir(str(measured)))
    assert scores is not None
    table = pd.read_csv(measured / "crossval/nested/scores.csv").set_index(["fold", "model", "images"])
    aucs = []
    for fold in scores.ended:
        out = held_out(measured, fold.fold)
        metrics = all_metrics(out["probabilities"], out["labels"])
        assert fold.held_out_scores["auc"] == pytest.approx(metrics["auc"])
        assert table.loc[(fold.fold, "ensemble", "held out"), "auc"] == pytest.approx(metrics["auc"])
        assert (fold.images, fold.calibrated_on) == (len(out["labels"]), "calibration")
        aucs.append(metrics["auc"])
    spread = scores.held_out("auc")
    assert spread is not None
    assert (spread.mean, spread.std) == pytest.approx((np.mean(aucs), np.std(aucs, ddof=1)))
    assert not list((measured / "crossval/nested").rglob("weights.safetensors"))
    assert list((measured / "trials").rglob("weights.safetensors"))


def test_a_folds_trunks_go_with_its_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(TrainConfig(backbone="resnet8_small"), (12, 12, 1), 3)
    save_file(network.get_submodule("backbone").state_dict(), tmp_path / "resnet8_small.safetensors")
    space = SPACE.replace("[lenet5, resnet8_small]", "[resnet8_small]")
    space += f"fixed: {{trainable_blocks: 0, weights: {tmp_path}}}\n"
    run = search(tmp_path, write_npz(tmp_path / "few.npz", train=96), space)
    (trunk,) = (run / "trunks").iterdir()
    result = nested(run, folds=2)
    assert result.left == 0
    assert list(run.rglob("trunks/*.safetensors")) == [trunk]
    assert len(list((run / "crossval/nested").glob("fold_*/trunks"))) == 2


def test_nothing_of_a_folds_search_changes_with_what_the_fold_holds_out(measured: Path, tmp_path: Path) -> None:
    """Noise in the place of the images that fold 0 holds out: the same trials, another held-out score."""
    clean = measured / "run.json"
    source = Path(json.loads(clean.read_text())["options"]["data"])
    with np.load(source) as arrays:
        content = dict(arrays)
    images = np.concatenate([content[f"{split}_images"] for split in ("train", "val")])
    positions = held_out(measured, 0)["positions"]
    images[positions] = np.random.default_rng(7).integers(0, 256, size=images[positions].shape, dtype=np.uint8)
    content["train_images"], content["val_images"] = np.split(images, [len(content["train_images"])])
    np.savez(tmp_path / "poisoned.npz", **content)
    run = search(tmp_path, tmp_path / "poisoned.npz")
    nested(run, folds=2)
    assert held_out(run, 0)["positions"].tolist() == positions.tolist()
    for number in range(2):
        name = f"crossval/nested/fold_0/trials/{number:04d}/val_predictions.npz"
        assert (run / name).read_bytes() == (measured / name).read_bytes()
    first, second = (json.loads((r / "crossval/nested/fold_0/fold.json").read_text()) for r in (measured, run))
    same = ("members", "best_trial", "temperatures", "val_scores")
    assert [first[name] for name in same] == [second[name] for name in same]
    assert first["held_out_scores"] != second["held_out_scores"]


@pytest.mark.usefixtures("ray_address")
def test_on_ray_its_figures_are_those_of_this_process(searched: Path, measured: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(searched, tmp_path / "run"))
    result = nested(run, folds=2, runner="ray", concurrency=1)
    assert result.left == 0
    for fold in range(2):
        ours, theirs = held_out(measured, fold), held_out(run, fold)
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_it_goes_on_after_ctrl_c_and_ends_as_if_nothing_had_been(
    searched: Path, measured: Path, command: Start, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(searched, tmp_path / "run"))
    started = command(run, "--nested", "--folds", 2, "--local", name="crossval")
    started.until(lambda: (run / "crossval/nested/fold_1/trials/0000/epochs.jsonl").exists())
    started.kill(signal.SIGINT)
    code, printed, complaints = started.finish()
    assert code == 130, complaints
    assert f"1 outer fold left; go on with: medray crossval {run} --nested --resume --local" in printed
    before = (run / "crossval/nested/fold_0/fold.json").stat().st_mtime_ns
    code, printed, complaints = command(run, "--nested", "--resume", "--local", name="crossval").finish()
    assert code == 0, complaints
    assert "Resuming: 1 of 2 outer folds have ended" in printed
    assert (run / "crossval/nested/fold_0/fold.json").stat().st_mtime_ns == before
    for fold in range(2):
        ours, theirs = held_out(measured, fold), held_out(run, fold)
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_what_it_refuses(measured: Path, searched: Path) -> None:
    with pytest.raises(RunError, match="already holds a nested cross-validation: go on with it by --resume"):
        nested(measured)
    with pytest.raises(RunError, match=r"--folds 3: .* was started with 2"):
        nested(measured, folds=3, resume=True)
    with pytest.raises(RunError, match="holds no nested cross-validation to resume"):
        nested(searched, resume=True)
    with pytest.raises(DataError, match="40 folds, but class"):
        nested(searched, folds=40)
    assert not (searched / "crossval/nested").exists()


def test_too_short_a_time_of_its_searches_is_one_line_with_its_own_way_out(searched: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(searched, tmp_path / "run"))
    facts = json.loads((run / "run.json").read_text())
    facts["options"]["hours"] = 1e-6
    (run / "run.json").write_text(json.dumps(facts))
    space = run / RunDir.SPACE
    space.write_text(space.read_text().replace("grace_epochs: 1", "grace_epochs: 2"))
    line = r"1e-06 hours, those of the search of \S+, are too short .* a run whose search had \S+ or more$"
    with pytest.raises(RunError, match=line):
        nested(run)


@pytest.mark.parametrize(
    ("trials", "hours", "expected"),
    [(8, None, "8 trials"), (None, 1.5, "1.5 hours"), (8, 2.0, "8 trials or 2 hours")],
)
def test_the_procedure_is_told_by_its_bounds(
    measured: Path, trials: int | None, hours: float | None, expected: str
) -> None:
    plan = replace(RunDir(str(measured)).nested.read_plan(), trials=trials, hours=hours, top_k=4)
    assert NestedScores(plan, ()).procedure == f"a search of {expected} and the mean of its 4 best"


def test_patients_stand_in_one_split_of_an_outer_fold(tmp_path: Path) -> None:
    """Two images of each patient, next to each other in the class."""
    data = write_npz(tmp_path / "patients.npz", train=96)
    with np.load(data) as arrays:
        content = dict(arrays)
    for split in ("train", "val", "test"):
        index = np.arange(len(content[f"{split}_labels"]))
        content[f"{split}_groups"] = np.array([f"{split}{i // 8 * 4 + i % 4}" for i in index])
    np.savez(data, **content)
    dataset = with_calibration(load_data(str(data)), 0.25)
    groups = dataset.groups
    assert groups is not None
    folds = make_folds(dataset, 3, 0)
    for fold in outer_folds(dataset, folds):
        parts = [*fold.dataset.splits.values(), fold.held_out]
        patients = [set(groups[part].tolist()) for part in parts]
        assert sum(map(len, patients)) == len(set.union(*patients))
        assert all(len(part) == 2 * len(members) for part, members in zip(parts, patients, strict=True))
