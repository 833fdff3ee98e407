"""Several processes that train one network together, on CPUs: by themselves, in a search and in folds."""

import contextlib
import io
import itertools
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from rich.console import Console

from medray.cluster.capacity import find_capacity
from medray.cluster.step_result import StepResult
from medray.cluster.trial_worker import Worker
from medray.cluster.worker_group import WorkerGroup
from medray.config import TrainConfig
from medray.crossval.plan import CrossvalOptions
from medray.crossval.run_crossval import run_crossval
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import FINISHED, STOPPED
from medray.search.run_search import run_search
from medray.search.search_options import SearchOptions
from medray.space.search_space import Resources
from medray.training.loop import fit
from tests.conftest import Command

pytestmark = pytest.mark.component

SETTINGS = {"batch_size": 15, "optimizer": "sgd", "learning_rate": 0.01, "backbone": "resnet8_small"}
SPACE = """
name: together
data: phantom
objective: {metric: log_loss}
budget: {trials: 8, max_epochs: 2, grace_epochs: 1, reduction_factor: 2, patience: null}
resources: {cpu: 2, workers: 2}
space:
  learning_rate: {log: [0.0001, 0.02]}
fixed: {backbone: resnet8_small, optimizer: sgd, batch_size: 15}
"""


def new_trial(run: RunDir, number: int, **settings: object) -> TrialDir:
    folder = run.trial(number)
    config = TrainConfig.from_dict({**SETTINGS, "epochs": 3, "monitor": "auc", **settings})
    folder.write_json(folder.CONFIG, config.to_dict())
    return folder


def matches_one_process(folder: TrialDir, train: object, val: object, epochs: int) -> bool:
    """Whether a trial's files have the figures that one process gives for its settings, up to rounding.

    Most agree to 1e-6; where rounding takes an activation over zero they are 2e-4 apart.
    """
    config = TrainConfig.from_dict(folder.read_json(folder.CONFIG))
    results = list(fit(config, train, val))[:epochs]  # type: ignore[arg-type]
    best = results[-1].best_outputs.probabilities
    with np.load(io.BytesIO(folder.read(folder.PREDICTIONS))) as file:
        alike = np.abs(file["probabilities"] - best).max() < 1e-3
    losses = np.array(
        [(one.train_loss, other.train_loss) for one, other in zip(folder.epochs(), results, strict=True)]
    )
    return bool(alike and np.abs(losses[:, 0] - losses[:, 1]).max() < 1e-4)


def members() -> list[psutil.Process]:
    named = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # one that was ended
            named += [process] if "GroupMember" in " ".join(process.cmdline()) else []
    return sorted(named, key=lambda process: process.pid)


@pytest.mark.usefixtures("ray_address")
def test_a_group_trains_as_one_process_and_a_killed_member_costs_the_epoch(
    dataset: ImageDataset, tmp_path: Path
) -> None:
    import ray
    from ray.exceptions import RayActorError

    run, slices = RunDir(str(tmp_path)), (dataset.split("train"), dataset.split("val"))
    group = WorkerGroup([ray.put(dataset)], Resources(cpu=2, gpu=0, workers=2))
    first = new_trial(run, 0)
    group.open(first, *slices, "auc")
    assert group.step() == StepResult(1, first.epochs()[0].objective, seconds=first.epochs()[0].seconds)
    processes = members()
    assert len(processes) == 2
    processes[1].kill()
    with pytest.raises(RayActorError):
        group.step()
    group.open(first, *slices, "auc")
    assert [group.step().epoch for _ in range(3)] == [1, 2, 3]  # the checkpoint's epoch is told again
    assert matches_one_process(first, *slices, 3)

    processes = members()
    second = new_trial(
        run, 1, optimizer="sgd", learning_rate=10.0, momentum=0.99, backbone="lenet5_wide", epochs=30
    )
    group.open(second, *slices, "auc")
    while not (failed := group.step()).done:
        pass
    assert failed.reason is not None
    assert "loss" in failed.reason or "NaN" in failed.reason
    third = new_trial(run, 2, epochs=2)
    group.open(third, *slices, "auc")
    assert group.step().epoch == 1
    alone = Worker(threads=1)  # takes up what a group has begun
    alone.open(third, *slices, "auc")
    assert [alone.step().ended_by for _ in range(2)] == [None, "epochs"]
    assert matches_one_process(third, *slices, 2)
    assert members() == processes  # which a training that fails alike in all of them does not end
    group.close()
    psutil.wait_procs(processes, timeout=30)
    assert not members()


@pytest.mark.usefixtures("ray_address")
def test_an_epoch_of_a_group_that_has_no_time_is_cut_short_in_all_of_it(tmp_path: Path) -> None:
    """Its processes see in different batches that the time is over: none waits for ever for the others."""
    import ray

    dataset = load_data("phantom:organs?images=6000")
    run, slices = RunDir(str(tmp_path)), (dataset.split("train"), dataset.split("val"))
    group = WorkerGroup([ray.put(dataset)], Resources(cpu=2, gpu=0, workers=2))
    folder = new_trial(run, 0, batch_size=2)
    for _ in range(2):  # the second time with other processes, if one had to be ended
        group.open(folder, *slices, "auc", time.time())
        assert group.step().cut_short
    assert not folder.epochs()
    group.close()
    psutil.wait_procs(members(), timeout=30)
    assert not members()


@pytest.mark.usefixtures("ray_address")
def test_a_search_whose_trials_are_of_two_workers(npz: Path, tmp_path: Path) -> None:
    space, out = tmp_path / "together.yaml", tmp_path / "run"
    space.write_text(SPACE)
    shown = io.StringIO()
    result = run_search(SearchOptions(str(space), data=str(npz), out=str(out)), Console(file=shown, width=200))
    assert "1 trials side by side, each by 2 processes" in shown.getvalue()
    dataset = load_data(str(npz))
    assert len(result.records) == 8
    for record in result.records:
        folder = RunDir(str(out)).trial(record.number)
        assert record.reason is None
        assert matches_one_process(folder, dataset.split("train"), dataset.split("val"), record.epochs)
    assert STOPPED in {record.state for record in result.records}  # by ASHA, and the group went on with others


@pytest.mark.usefixtures("ray_address")
def test_folds_of_two_workers(finished_run: Path, npz: Path) -> None:
    space = (finished_run / "space.yaml").read_text()
    (finished_run / "space.yaml").write_text(space.replace("space:", "resources: {cpu: 2, workers: 2}\nspace:", 1))
    result = run_crossval(CrossvalOptions(str(finished_run), top=1, folds=2), Console(file=io.StringIO()))
    assert result.left == 0
    dataset, run = load_data(str(npz)), RunDir(str(finished_run))
    for number, fold in enumerate(result.folds.folds):
        folder = run.fold(result.trials[0].number, number)
        record = folder.record()
        assert record is not None
        assert record.state == FINISHED
        assert matches_one_process(folder, dataset.at(fold.train), dataset.at(fold.val), record.epochs)


@pytest.mark.usefixtures("ray_address")
def test_without_a_gpu_a_trial_of_several_is_one_process() -> None:
    assert find_capacity(Resources(2, 2, 2), "organs.yaml", started_here=True).resources == Resources(2, 0, 1)
    assert find_capacity(Resources(2, 0, 2), "organs.yaml", started_here=True).resources == Resources(2, 0, 2)


@pytest.mark.nightly
def test_a_search_goes_on_where_one_of_a_group_was_killed_and_ends_all_with_ctrl_c(
    command: Callable[..., Command], npz: Path, tmp_path: Path, ray_address: str
) -> None:
    space, out = tmp_path / "together.yaml", tmp_path / "run"
    space.write_text(SPACE.replace("max_epochs: 2, grace_epochs: 1", "max_epochs: 40, grace_epochs: 200"))
    options = (space, "--data", npz, "--trials", 2, "--out", out, "--address", ray_address)
    first = RunDir(str(out)).trial(0)
    started = command(*options)
    started.until(lambda: len(first.epochs()) >= 2)
    before = [epoch.seconds for epoch in first.epochs()]
    members()[1].kill()
    started.until(lambda: first.record() is not None)
    assert [epoch.seconds for epoch in first.epochs()][: len(before)] == before
    dataset = load_data(str(npz))
    assert len(first.epochs()) == 40
    config = TrainConfig.from_dict(first.read_json(first.CONFIG))
    few = itertools.islice(fit(config, dataset.split("train"), dataset.split("val")), 5)  # rounding grows later
    for one, other in zip(first.epochs(), few, strict=False):
        assert abs(one.train_loss - other.train_loss) < 1e-4
    started.kill(signal.SIGINT)
    code, _, complaints = started.finish()
    assert code == 130, complaints
    _, alive = psutil.wait_procs(members(), timeout=60)
    assert not alive
