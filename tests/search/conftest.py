"""Search spaces for tests, and what a run holds."""

import json
from pathlib import Path
from typing import Any

import pytest

from medray.runs.rundir import RunDir

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
def one_slot(space: Path) -> Path:
    """The same space for one trial at a time: one worker to be started, which all trials share."""
    space.write_text(space.read_text().replace("{cpu: 1}", "{cpu: 2}"))
    return space


@pytest.fixture
def slow_space(tmp_path: Path) -> Path:
    path = tmp_path / "slow.yaml"
    path.write_text(SLOW)
    return path


def run_dir(path: Path) -> RunDir:
    return RunDir(str(path))


def epochs_done(path: Path, number: int) -> int:
    return len(run_dir(path).trial(number).epochs())


def ended(path: Path) -> int:
    return sum(1 for _ in run_dir(path).records())


def bare_fit(path: Path, number: int, data: Path) -> list[dict[str, Any]]:
    """What plain fit() gives for a trial's settings: epochs as the trial should have recorded them."""
    from medray.config import TrainConfig
    from medray.data.load_data import load_data
    from medray.training.loop import fit

    dataset = load_data(str(data))
    config = TrainConfig.from_dict(json.loads((path / f"trials/{number:04d}/config.json").read_text()))
    results = fit(config, dataset.split("train"), dataset.split("val"))
    return [{"epoch": r.epoch, "train_loss": r.train_loss, "metrics": r.metrics} for r in results]


def recorded(path: Path, number: int) -> list[dict[str, Any]]:
    kept = ("epoch", "train_loss", "metrics")
    return [{k: getattr(epoch, k) for k in kept} for epoch in run_dir(path).trial(number).epochs()]
