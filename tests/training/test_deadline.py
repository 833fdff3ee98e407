"""Deadlines: a training ends within an epoch whose time is over, and goes on from the last whole one."""

import math
import time
from pathlib import Path

import pytest

from medray.cluster.step_result import StepResult
from medray.cluster.trial_worker import Worker
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import TIME
from medray.training import deadline as module
from medray.training.deadline import Deadline, OutOfTime
from medray.training.loop import fit

SETTINGS = {"backbone": "resnet8_small", "batch_size": 16, "epochs": 3, "learning_rate": 0.005}


@pytest.fixture(autouse=True)
def no_least_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0.0)


def new_trial(path: Path, **settings: object) -> TrialDir:
    folder = RunDir(str(path)).trial(0)
    folder.write_json(folder.CONFIG, TrainConfig.from_dict({**SETTINGS, **settings}).to_dict())
    return folder


def test_a_worker_ends_an_epoch_within_and_goes_on_from_the_one_before(
    dataset: ImageDataset, tmp_path: Path
) -> None:
    folder, slices = new_trial(tmp_path), (dataset.split("train"), dataset.split("val"))
    worker = Worker(threads=1)
    worker.open(folder, *slices, "auc", time.time() + 1000)
    first = worker.step()
    assert (first.epoch, first.done, first.cut_short) == (1, False, False)
    worker.deadline.until = 0.0
    cut = worker.step()
    assert (cut.epoch, cut.objective, cut.reason, cut.ended_by) == (2, None, None, TIME)
    assert cut.done
    assert cut.cut_short
    assert cut.seconds > 0
    assert [epoch.epoch for epoch in folder.epochs()] == [1]

    worker.open(folder, *slices, "auc")
    assert [worker.step().epoch for _ in range(3)] == [1, 2, 3]  # the checkpoint's epoch is told again
    unbroken = [result.train_loss for result in fit(TrainConfig.from_dict(SETTINGS), *slices)]
    assert [epoch.train_loss for epoch in folder.epochs()] == unbroken


def test_a_first_epoch_that_is_cut_short_leaves_nothing(dataset: ImageDataset, tmp_path: Path) -> None:
    folder, worker = new_trial(tmp_path), Worker(threads=1)
    worker.open(folder, dataset.split("train"), dataset.split("val"), "auc", 0.0)
    result = worker.step()
    assert result == StepResult(1, None, TIME, seconds=result.seconds, clock=result.clock)
    assert result.clock == pytest.approx(time.time(), abs=60)
    assert folder.names() == [folder.CONFIG]
    folder.discard()
    assert RunDir(str(tmp_path)).trial_numbers() == []


def test_the_features_of_a_frozen_network_are_not_computed_beyond_the_time(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    folder, worker = new_trial(tmp_path, trainable_blocks=0, optimizer="lbfgs"), Worker(threads=1)
    slices = dataset.split("train"), dataset.split("val")
    worker.open(folder, *slices, "auc", 0.0)
    assert worker.step().cut_short
    worker.open(folder, *slices, "auc")
    assert worker.step().ended_by == "converged"


@pytest.mark.parametrize("part", ["predict_part", "recalibrated"])
def test_what_follows_the_last_batch_is_ended_too(
    dataset: ImageDataset, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation of many images, and the statistics of BatchNorm, take their time as batches do."""
    from medray.training import loop

    deadline, original = Deadline(), getattr(loop, part)

    def late(*arguments: object) -> object:
        deadline.until = 0.0
        return original(*arguments)

    monkeypatch.setattr(loop, part, late)
    epochs = fit(TrainConfig.from_dict(SETTINGS), dataset.split("train"), dataset.split("val"), deadline=deadline)
    with pytest.raises(OutOfTime):
        next(epochs)


def test_an_epoch_has_a_least_time_and_the_error_says_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_S", 1000.0)
    deadline = Deadline(0.0)
    deadline.check(0.0)
    deadline.began -= 1100.0
    for share, seconds in ((None, 1100.0), (0.0, 1100.0), (0.25, 1000 + 4 * 100)):
        deadline.batches_began = deadline.began + 1000.0  # features took ten times as long as the batches so far
        with pytest.raises(OutOfTime) as error:
            deadline.check(share)
        assert error.value.seconds == pytest.approx(seconds, rel=0.01)
    deadline.begin_epoch()
    deadline.check(0.25)
    deadline.until = math.inf
    deadline.began -= 5000.0
    deadline.check(1.0)
