"""Cross-validation with real Ray Train: what it leaves, that each fold begins anew, kills, refusals."""

import contextlib
import dataclasses
import io
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from medray.cluster.capacity import find_capacity
from medray.cluster.trial_worker import Worker
from medray.config import TrainConfig
from medray.crossval.jobs import WORKER_DEATHS, JobQueue
from medray.crossval.plan import CrossvalOptions, jobs_left, make_plan, plan_folds, write_plan
from medray.crossval.ray_trainer import run_trainers
from medray.crossval.run_crossval import CrossvalResult, run_crossval
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds, make_folds
from medray.data.load_data import load_data
from medray.errors import DataError, MedrayError, RunError
from medray.runs.finished_search import open_finished_search
from medray.runs.fold_results import read_crossval_trials
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import FAILED, FINISHED, EpochRecord
from medray.training.loop import fit
from medray.training.predict import predict_images
from medray.training.weights import load_network, weights_from_bytes
from tests.conftest import Command, make_long_run, make_run, workers, write_npz

pytestmark = pytest.mark.component

Start = Callable[..., Command]


def crossval(run: Path, **options: object) -> CrossvalResult:
    return run_crossval(CrossvalOptions(str(run), **options), Console(file=io.StringIO()))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folded(made_run: Path, ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search whose best two settings Ray Train has trained on three folds; copy it first."""
    run = Path(shutil.copytree(made_run, tmp_path_factory.mktemp("folded") / "found"))
    crossval(run, top=2, folds=3)
    return run


def the_folds(run: Path) -> Folds:
    return Folds.from_dict(json.loads((run / "crossval/folds.json").read_text()), "folds.json")


def bare(run: Path, dataset: ImageDataset, trial: int, fold: int) -> list[dict[str, object]]:
    """What plain fit() gives for a fold's settings, from fresh weights."""
    config = TrainConfig.from_dict(json.loads((run / f"crossval/{trial:04d}/fold_{fold}/config.json").read_text()))
    part = the_folds(run).folds[fold]
    results = fit(config, dataset.at(part.train), dataset.at(part.val))
    return [{"epoch": r.epoch, "train_loss": r.train_loss, "metrics": r.metrics} for r in results]


def recorded(run: Path, trial: int, fold: int) -> list[dict[str, object]]:
    kept = ("epoch", "train_loss", "metrics")
    return [{k: getattr(epoch, k) for k in kept} for epoch in RunDir(str(run)).fold(trial, fold).epochs()]


def test_every_fold_is_a_training_of_its_own_from_fresh_weights(folded: Path, npz: Path) -> None:
    dataset = load_data(str(npz))
    for trial in read_crossval_trials(RunDir(str(folded))):
        for fold in range(3):
            assert recorded(folded, trial.number, fold) == bare(folded, dataset, trial.number, fold)
    seeds = {
        json.loads(path.read_text())["seed"] for path in (folded / "crossval").glob("*/fold_*/config.json")
    }  # fmt: skip
    assert len(seeds) == 6


def test_out_of_fold_predictions_are_of_models_that_did_not_see_the_image(folded: Path, npz: Path) -> None:
    dataset, run = load_data(str(npz)), RunDir(str(folded))
    folds = the_folds(folded)
    pool = np.concatenate([dataset.splits["train"], dataset.splits["val"]])
    for trial in read_crossval_trials(run):
        assert sorted(trial.positions) == sorted(pool)
        assert (trial.labels == dataset.labels[trial.positions]).all()
        for number, fold in enumerate(folds.folds):
            folder = run.fold(trial.number, number)
            tensors, _ = weights_from_bytes(folder.read(folder.WEIGHTS), "weights")
            config = TrainConfig.from_dict(folder.read_json(folder.CONFIG))
            network = load_network(config, dataset.shape, 3, tensors, "weights")
            own = predict_images(network, dataset.at(fold.val), torch.device("cpu")).probabilities
            rows = np.searchsorted(trial.positions, fold.val)
            assert np.allclose(trial.probabilities[rows], own, atol=1e-5)


def test_what_is_left_can_be_read(folded: Path) -> None:
    home = folded / "crossval"
    scores = pd.read_csv(home / "scores.csv")
    assert len(scores) == 2 * (3 + 2)
    for trial, rows in scores.groupby("trial"):
        summary = json.loads((home / f"{trial:04d}/summary.json").read_text())
        own = rows[rows.fold.isin(["0", "1", "2"])].accuracy.astype(float)
        assert summary["mean"]["accuracy"] == pytest.approx(own.mean())
        assert summary["std"]["accuracy"] == pytest.approx(own.std())
        assert np.sum(summary["confusion_matrix"]) == summary["images"] == 72
        assert sum(np.sum(fold["confusion_matrix"]) for fold in summary["folds"]) == 72
        files = {path.name for path in (home / f"{trial:04d}/fold_1").iterdir()}
        assert files == {"config.json", "epochs.jsonl", "weights.safetensors", "val_predictions.npz", "trial.json"}
    issues = pd.read_csv(home / "label_issues.csv")
    assert set(issues.split) <= {"train", "val"}
    if len(issues):
        assert Image.open(home / "label_issues.png").width > 100


def test_a_second_call_is_refused_and_resume_adds_a_setting(folded: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(folded, tmp_path / "found"))
    with pytest.raises(
        RunError, match="already holds a cross-validation: go on with it, or add settings, by --re"
    ):
        crossval(run)
    for wrong in ({"folds": 4}, {"seed": 7}):
        with pytest.raises(RunError, match="was started with"):
            crossval(run, resume=True, **wrong)
    before = {s.number: [r.seconds for r in s.records] for s in read_crossval_trials(RunDir(str(run)))}
    other = next(n for n in range(4) if n not in before)
    result = crossval(run, resume=True, trials=(other,), runner="local")
    after = {s.number: [r.seconds for r in s.records] for s in result.trials}
    assert set(after) == {*before, other}
    assert {n: after[n] for n in before} == before  # nothing was done again
    assert [s.objective for s in result.trials] == sorted((s.objective for s in result.trials), reverse=True)


# -- kills


@pytest.fixture
def slow_run(tmp_path: Path) -> tuple[Path, Path]:
    return make_long_run(tmp_path, epochs=8)


def epochs(run: Path, fold: int) -> list[EpochRecord]:
    return RunDir(str(run)).fold(0, fold).epochs()


def ended(run: Path) -> int:
    return len(list((run / "crossval/0000").glob("fold_*/trial.json")))


@pytest.mark.slow
def test_a_killed_worker_and_then_a_killed_driver_cost_at_most_an_epoch(
    command: Start, slow_run: tuple[Path, Path], ray_address: str
) -> None:
    run, data = slow_run
    options = ("--address", ray_address)
    started = command(run, "--folds", 3, *options, name="crossval")
    started.until(lambda: min(len(epochs(run, 0)), len(epochs(run, 1))) >= 2)
    before = [epochs(run, fold) for fold in (0, 1)]
    next(w for w in workers() if "RayTrainWorker" in " ".join(w.cmdline())).kill()
    started.until(lambda: ended(run) >= 1)
    started.kill(signal.SIGKILL)
    started.finish()
    done = {path: path.read_bytes() for path in (run / "crossval/0000").glob("fold_*/trial.json")}
    assert len(done) < 3
    code, printed, complaints = command(run, "--resume", "--json", *options, name="crossval").finish()
    assert code == 0, complaints
    assert json.loads(printed)["folds_left"] == 0
    assert {path: path.read_bytes() for path in done} == done
    dataset = load_data(str(data))
    for fold in (0, 1):  # the seconds that an epoch took tell it from one that was done again
        kept = epochs(run, fold)
        assert [e.seconds for e in kept[: len(before[fold])]] == [e.seconds for e in before[fold]]
    for fold in range(3):
        assert recorded(run, 0, fold) == bare(run, dataset, 0, fold)


def fatal(name: str, folder: Path, deaths: int) -> str:
    """A metric's name that kills the processes which unpickle it: the first controller and the first workers."""

    def arrive(name: str) -> str:
        process = psutil.Process()
        (kind,) = [kind for kind in ("Controller", "Worker") if f"Train{kind}" in process.cmdline()[0]]
        if len(list(folder.glob(f"{kind}*"))) < (deaths if kind == "Worker" else 1):
            (folder / f"{kind}-{process.pid}").touch()
            process.kill()
        return name

    class Name(str):
        def __reduce__(self) -> tuple[Any, ...]:
            return arrive, (str(self),)

    return Name(name)


@pytest.mark.parametrize(
    "deaths", [pytest.param(1, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.nightly)]
)
def test_processes_that_die_as_they_are_told_to_begin(
    deaths: int, finished_run: Path, npz: Path, tmp_path: Path, ray_address: str
) -> None:
    """Ray Train gives up on them; the folds are done all the same, unless it happens again and again."""
    import ray
    from ray.train import ControllerError

    dead = tmp_path / "dead"
    dead.mkdir()
    searched = open_finished_search(str(finished_run))
    dataset = load_data(str(npz))
    plan = make_plan(CrossvalOptions(str(finished_run), top=1, folds=2), searched)
    folds = plan_folds(searched, dataset, plan)
    write_plan(searched, plan, folds)
    jobs = jobs_left(searched, plan, folds)
    queue = ray.remote(num_cpus=0)(JobQueue).remote(jobs)
    capacity = find_capacity(searched.space.resources, "space.yaml", started_here=True)
    lines: list[str] = []
    gives_up = pytest.raises(ControllerError, match="its worker process has died")
    with gives_up if deaths > 1 else contextlib.nullcontext():
        metric = fatal("auc", dead, deaths)
        run_trainers(searched.run, dataset, folds, metric, capacity, 1, queue, len(jobs), lines.append)
    assert lines
    assert all("worker process has died" in line and "going on with 1, folds left: 2" in line for line in lines)
    assert ended(finished_run) == (2 if deaths == 1 else 0)
    assert len(list(dead.glob("Controller*"))) == 1
    assert len(list(dead.glob("Worker*"))) == (1 if deaths == 1 else WORKER_DEATHS)
    assert {group["state"] for group in ray.util.placement_group_table().values()} == {"REMOVED"}
    logs = Path(ray._private.worker.global_worker.node.get_logs_dir_path()).glob("worker-*.out")
    started = {line for log in logs for line in log.read_text().splitlines() if line.startswith(":actor_name:")}
    assert ":actor_name:TrainController" in started
    assert ":actor_name:PlacementGroupCleaner" not in started


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_workers_that_are_yet_to_come(
    command: Start, slow_run: tuple[Path, Path], ray_address: str
) -> None:
    import ray

    @ray.remote(num_cpus=2)
    class Busy:
        def here(self) -> bool:
            return True

    run, _ = slow_run
    options = ("--folds", 2, "--json", "--address", ray_address)
    busy = Busy.remote()
    try:
        assert ray.get(busy.here.remote())
        started = command(run, *options, name="crossval", RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S="3600")
        started.until(lambda: (run / "crossval/train/start-0").exists())
        started.kill(signal.SIGINT)
        code, printed, complaints = started.finish()
        groups = ray.util.placement_group_table().values()
        assert {group["state"] for group in groups} <= {"REMOVED"}  # nothing is left that would take the cores
    finally:
        ray.kill(busy)
    assert code == 130, complaints
    assert "Traceback" not in complaints
    assert json.loads(printed)["unfinished"] == {"0": "fold 0, 1 not yet done"}


@pytest.mark.slow
def test_ctrl_c_ends_after_the_epoch_and_says_how_to_go_on(
    command: Start, slow_run: tuple[Path, Path], ray_address: str
) -> None:
    run, _ = slow_run
    config = run / "trials/0000/config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "epochs": 200})
    )  # none ends before it is told to
    started = command(run, "--folds", 2, "--json", "--address", ray_address, name="crossval")
    started.until(lambda: len(epochs(run, 0)) >= 1)
    started.kill(signal.SIGINT)
    code, printed, complaints = started.finish()
    assert code == 130, complaints
    assert "Traceback" not in complaints
    result = json.loads(printed)
    assert result["resume"] == f"medray crossval {run} --resume"
    assert result["unfinished"] == {"0": "fold 0, 1 not yet done"}
    assert all((run / f"crossval/0000/fold_{fold}/checkpoint.safetensors").exists() for fold in (0, 1))


@pytest.mark.slow
def test_a_fold_that_fails_fails_alone(finished_run: Path, ray_address: str) -> None:
    """One that diverged stays so; one whose worker died is tried again on --resume."""
    config = finished_run / "trials/0001/config.json"
    values = {**json.loads(config.read_text()), "learning_rate": 10.0, "optimizer": "sgd", "momentum": 0.99}
    config.write_text(json.dumps({**values, "epochs": 9}))
    result = crossval(finished_run, trials=(0, 1), folds=2, concurrency=1)
    assert [s.number for s in result.trials] == [0]
    assert "failed: the loss" in result.unfinished[1]
    assert result.left == 0
    folder = RunDir(str(finished_run)).fold(0, 1)
    record = folder.record()
    assert record is not None
    reason = "its worker process died 4 times before an epoch was done"
    folder.write_record(dataclasses.replace(record, state=FAILED, reason=reason, worker_died=True))
    result = crossval(finished_run, resume=True, concurrency=1)
    assert [r.state for r in result.trials[0].records] == [FINISHED, FINISHED]
    assert "failed: the loss" in result.unfinished[1]


# -- refusals: nothing is started, nothing is lost


def test_what_can_not_be_cross_validated_is_refused(finished_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run of medray: it has no run\.json \(did you mean 'found'\?\)"):
        crossval(tmp_path / "fuond")
    with pytest.raises(RunError, match="holds no cross-validation to resume"):
        crossval(finished_run, resume=True)
    with pytest.raises(RunError, match=r"--trial 9: that trial does not exist; usable: 0, 1, 2, 3"):
        crossval(finished_run, trials=(9,))
    with pytest.raises(
        DataError, match=r"60 folds, but class 0 has 24 images in train and val: ask for at most 24"
    ):
        crossval(finished_run, folds=60)
    other = write_npz(tmp_path / "other.npz", seed=5)
    with pytest.raises(DataError, match=r"is not the data of .*: its content differs"):
        crossval(finished_run, data=str(other))
    (finished_run / "trials/0002/trial.json").unlink()
    with pytest.raises(RunError, match=r"has not finished: 1 of 4 trials are left: go on by .*--trials 3"):
        crossval(finished_run)
    assert not (finished_run / "crossval").exists()


def test_a_run_of_failures_is_refused(npz: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "found", npz, trials=1, fail=0)
    with pytest.raises(MedrayError, match="has no trial to cross-validate: all of them failed"):
        crossval(run)
    with pytest.raises(RunError, match="--trial 0: that trial failed"):
        crossval(run, trials=(0,))


def test_options_that_exclude_one_another(command: Start, finished_run: Path) -> None:
    code, _, complaints = command(finished_run, "--top", 2, "--trial", 1, name="crossval").finish()
    assert code == 2
    assert complaints == "medray: --top and --trial choose settings in two ways: give one of them\n"


# -- the worker that all folds pass through


@settings(max_examples=8, deadline=None)
@given(order=st.permutations([(0, 0), (0, 1), (1, 0), (1, 1)]))
def test_members_start_from_fresh_weights_in_whatever_order_a_worker_takes_them(
    order: list[tuple[int, int]], dataset: ImageDataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One worker process trains all folds; what a fold gives must not depend on what came before it."""
    home = tmp_path_factory.mktemp("order")
    folds, worker = make_folds(dataset, 2, 0), Worker(threads=1)
    for trial, fold in order:
        config = TrainConfig(backbone="lenet5" if trial else "lenet5_wide_bn", epochs=2, batch_size=16)
        config = dataclasses.replace(config, seed=10 * trial + fold, dropout=0.2)
        folder = TrialDir(str(home / f"{trial}-{fold}"))
        folder.write_json(folder.CONFIG, config.to_dict())
        train, val = dataset.at(folds.folds[fold].train), dataset.at(folds.folds[fold].val)
        worker.open(folder, train, val, "auc")
        while not worker.step().done:
            pass
        alone = [(r.train_loss, r.metrics) for r in fit(config, train, val)]
        assert [(e.train_loss, e.metrics) for e in folder.epochs()] == alone
