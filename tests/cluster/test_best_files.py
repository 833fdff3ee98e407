"""A training that a kill broke off as it wrote an epoch, and that does not go on: its files fit together again."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medray.cluster.best_files import settle
from medray.cluster.trial_worker import Worker
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.runs.rundir import RunDir, TrialDir, read_arrays, read_outputs
from medray.search.ledger import _settled
from medray.stats.case_rule import ATTENTION, CaseRule
from medray.stats.cases import CaseIndex
from medray.training.models import build_network

pytestmark = pytest.mark.component

FILES = (
    TrialDir.PREDICTIONS,
    TrialDir.WEIGHTS,
    TrialDir.CHECKPOINT,
    TrialDir.EPOCHS,
)  # in the order of their writing


def improving(folder: TrialDir, dataset: ImageDataset, weights: Path | None) -> list[Path]:
    """Train until an epoch after the first is the best; return copies of the folder before it and after it."""
    settings = {
        "backbone": "resnet8_small",
        "batch_size": 16,
        "epochs": 30,
        "learning_rate": 0.003,
        "monitor": "log_loss",
    }
    frozen = {} if weights is None else {"weights": str(weights), "trainable_blocks": 0}
    folder.write_json(folder.CONFIG, TrainConfig.from_dict({**settings, **frozen}).to_dict())
    worker, home = Worker(threads=1), Path(folder.location)
    worker.open(folder, dataset.split("train"), dataset.split("val"), "log_loss")
    before = home.with_name("before")
    for epoch in range(1, 31):
        worker.step()
        if epoch > 1 and folder.epochs()[-1].best_epoch == epoch:
            return [before, Path(shutil.copytree(home, home.with_name("after")))]
        shutil.copytree(home, before, dirs_exist_ok=True)
    raise AssertionError("no epoch was better than the first")


@pytest.mark.parametrize("written", range(1, len(FILES)))
@pytest.mark.parametrize("frozen", [False, True])
def test_whatever_was_written_last(dataset: ImageDataset, tmp_path: Path, written: int, frozen: bool) -> None:
    if frozen:
        torch.manual_seed(0)
        network = build_network(TrainConfig(backbone="resnet8_small"), dataset.shape, 3)
        save_file(network.get_submodule("backbone").state_dict(), tmp_path / "resnet8_small.safetensors")
    before, after = improving(RunDir(str(tmp_path / "run")).trial(0), dataset, tmp_path if frozen else None)
    home = before.with_name("0000")
    for name in FILES:
        shutil.copy((after if name in FILES[:written] else before) / name, home / name)
    expected = after if TrialDir.CHECKPOINT in FILES[:written] else before
    folder = RunDir(str(tmp_path / "run")).trial(0)
    settle(folder)
    for name in FILES:
        if name in (TrialDir.PREDICTIONS, TrialDir.EPOCHS):
            assert (home / name).read_bytes() == (expected / name).read_bytes()
    outputs, _ = read_outputs(folder, folder.epochs()[-1].best_epoch, None)
    kept = Worker(threads=1)
    kept.open(folder, dataset.split("train"), dataset.split("val"), "log_loss")
    assert kept.step().epoch == len(folder.epochs())
    again, _ = read_outputs(folder, folder.epochs()[-1].best_epoch, None)
    assert np.array_equal(outputs.probabilities, again.probabilities)
    assert (home / TrialDir.WEIGHTS).read_bytes() == (expected / TrialDir.WEIGHTS).read_bytes()


def test_cases_and_scores_of_attention_stay(dataset: ImageDataset, tmp_path: Path) -> None:
    numbers, taken = np.zeros(len(dataset.labels), dtype=np.int64), 0
    for positions in dataset.splits.values():
        for label in range(3):  # cases of two images of a class
            own = positions[dataset.labels[positions] == label]
            numbers[own] = taken + np.arange(len(own)) // 2
            taken += len(own)
    index = CaseIndex(CaseRule("patient", ATTENTION), numbers)
    attending = replace(dataset, cases=index)
    before, _ = improving(RunDir(str(tmp_path / "run")).trial(0), attending, None)
    home = before.with_name("0000")
    for name in FILES[2:]:
        shutil.copy(before / name, home / name)
    folder = RunDir(str(tmp_path / "run")).trial(0)
    settle(folder)
    found = read_arrays(folder, TrialDir.PREDICTIONS, "cases", "attention", "labels")
    earlier = read_arrays(TrialDir(str(before)), TrialDir.PREDICTIONS, "cases", "attention", "labels")
    assert all(np.array_equal(own, other) for own, other in zip(found, earlier, strict=True))
    settle(TrialDir(str(tmp_path / "empty")))  # one that has written nothing


def test_one_with_a_damaged_checkpoint_has_failed_and_the_search_goes_on(
    dataset: ImageDataset, tmp_path: Path
) -> None:
    folder = RunDir(str(tmp_path / "run")).trial(0)
    improving(folder, dataset, None)
    checkpoint = Path(folder.location) / TrialDir.CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    result = _settled(folder)
    assert result.reason is not None
    assert "checkpoint.safetensors" in result.reason
    assert result.objective is None
