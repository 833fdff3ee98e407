"""One Ray for all tests, in a short folder of its own; searches run in this process or as commands."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from medray.runs import RunDir

SPACE = """
name: corners
data: phantom
objective: {metric: auc, mode: max}
budget: {trials: 6, max_epochs: 4, grace_epochs: 2, reduction_factor: 2, patience: null}
resources: {cpu: 1}
space:
  backbone: {choice: [lenet5, resnet8_small]}
  learning_rate: {log: [0.0005, 10.0]}
  optimizer: {choice: [adam, sgd]}
  momentum: {uniform: [0.5, 0.99], when: {optimizer: sgd}}
  transforms: {choice: [none, flip]}
fixed: {batch_size: 16}
transforms:
  flip: [{HorizontalFlip: {p: 0.5}}]
baselines:
  plain: {backbone: lenet5, learning_rate: 0.005, optimizer: adam, transforms: none}
  diverging: {backbone: lenet5, learning_rate: 10.0, optimizer: sgd, momentum: 0.99, transforms: none, epochs: 9}
  elsewhere: {backbone: lenet5_wide, learning_rate: 0.01, optimizer: adam, compare_only: true}
"""
# One setting, so that a trial takes its time and every trial ends well.
SLOW = """
name: slow
data: phantom
objective: {metric: auc}
budget: {trials: 4, max_epochs: 12, grace_epochs: 200, reduction_factor: 2, patience: null}
space:
  learning_rate: {log: [0.001, 0.01]}
fixed: {batch_size: 4, backbone: resnet8_small, dropout: 0.2}
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "corners.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def slow_space(tmp_path: Path) -> Path:
    path = tmp_path / "slow.yaml"
    path.write_text(SLOW)
    return path


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Start Ray with two cores, and join it from this process."""
    from medray.cluster import QUIET

    os.environ.update(QUIET)
    import ray

    folder = tempfile.mkdtemp(prefix="mr", dir="/tmp")
    ray.init(
        address="local", num_cpus=2, _temp_dir=folder, include_dashboard=False, log_to_driver=False,
        logging_level="ERROR", object_store_memory=200 * 2**20,
    )  # fmt: skip
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


class Command:
    """A `python -m medray.search` of its own, which can be watched and killed."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "medray.search", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def until(self, met: Callable[[], bool], seconds: float = 120) -> None:
        """Wait for a state on disk; a command that ends before it is reached fails the test."""
        end = time.monotonic() + seconds
        while not met():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, "not reached"
            time.sleep(0.02)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=180)
        return self.process.returncode, out, err


@pytest.fixture
def command() -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*arguments: object, **environment: str) -> Command:
        started.append(Command(*map(str, arguments), **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def run_dir(path: Path) -> RunDir:
    return RunDir(str(path))


def epochs_done(path: Path, number: int) -> int:
    return len(run_dir(path).trial(number).epochs())


def ended(path: Path) -> int:
    return sum(1 for _ in run_dir(path).records())


def workers() -> list[psutil.Process]:
    """Processes in which trials are running, of the Ray that this process has started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.cmdline())
            if title.startswith("ray::") and "Agent" not in title and "IDLE" not in title:
                found.append(process)
    return found


def bare_fit(path: Path, number: int, data: Path) -> list[dict[str, Any]]:
    """What plain fit() gives for a trial's settings: epochs as the trial should have recorded them."""
    from medray.config import TrainConfig
    from medray.data.sources import load_data
    from medray.training.loop import fit

    dataset = load_data(str(data))
    config = TrainConfig.from_dict(json.loads((path / f"trials/{number:04d}/config.json").read_text()))
    results = fit(config, dataset.split("train"), dataset.split("val"))
    return [{"epoch": r.epoch, "train_loss": r.train_loss, "metrics": r.metrics} for r in results]


def recorded(path: Path, number: int) -> list[dict[str, Any]]:
    kept = ("epoch", "train_loss", "metrics")
    return [{k: epoch[k] for k in kept} for epoch in run_dir(path).trial(number).epochs()]
