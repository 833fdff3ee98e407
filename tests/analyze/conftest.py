"""Runs to analyse: finished searches without Ray, with what their driver would have left beside the trials."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from medray.data.dataset import ImageDataset

SPACE = {
    "backbone": CategoricalDistribution(["lenet5", "resnet8_small"]),
    "learning_rate": FloatDistribution(0.0005, 0.02, log=True),
}


def write_journal(run: Path, trials: list[dict[str, Any]], direction: str = "maximize") -> Path:
    """Write a study of trials, each {value, params, state}."""
    path = run / "study.journal"
    path.unlink(missing_ok=True)
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(study_name="medray", storage=storage, direction=direction)
    for given in trials:
        space = given.get("space", SPACE)
        study.add_trial(
            optuna.trial.create_trial(
                value=given.get("value"), params=given["params"], user_attrs=given.get("attrs", {}),
                distributions={name: space[name] for name in given["params"]},
                state=given.get("state", TrialState.COMPLETE),
            )
        )  # fmt: skip
    return path


def edit(path: Path, **changes: Any) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def predict(run: Path, sharpness: dict[int, float]) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Give trials predictions of 80 validation images of two classes, the sharper the better; return all."""
    rng, labels, tables = np.random.default_rng(0), np.arange(80) % 2, {}
    for number, sharp in sharpness.items():
        positive = 1 / (1 + np.exp(-rng.normal(sharp * (2 * labels - 1), 1)))
        tables[number] = np.stack([1 - positive, positive], axis=1).astype(np.float32)
        folder = run / f"trials/{number:04d}"
        epoch = json.loads((folder / "trial.json").read_text())["best_epoch"]
        np.savez(folder / "val_predictions.npz", probabilities=tables[number], labels=labels, epoch=epoch)
    return labels, tables


@pytest.fixture(scope="session")
def analysed(folded_run: Path, dataset: ImageDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-validated search of four trials with splits and journal; copy it before you write to it."""
    run = Path(shutil.copytree(folded_run, tmp_path_factory.mktemp("analysed") / "found"))
    splits = {name: positions.tolist() for name, positions in dataset.splits.items()}
    (run / "splits.json").write_text(json.dumps(splits))
    records = [json.loads((run / f"trials/{n:04d}/trial.json").read_text()) for n in range(4)]
    write_journal(
        run,
        [
            {
                "value": r["objective"],
                "params": {name: r["settings"][name] for name in SPACE},
                "attrs": {"baseline": r["baseline"]} if r["baseline"] else {},
            }
            for r in records
        ],
    )
    return run


@pytest.fixture
def run(analysed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(analysed, tmp_path / "found"))


@pytest.fixture
def stop(run: Path) -> Callable[[int, int], None]:
    """Make a trial one that ASHA has stopped, of so many epochs that it was allowed."""

    def make(number: int, allowed: int) -> None:
        path = run / f"trials/{number:04d}/trial.json"
        settings = json.loads(path.read_text())["settings"] | {"epochs": allowed}
        edit(path, state="stopped", ended_by="asha", settings=settings)

    return make


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def probabilities_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / "val_predictions.npz") as file:
        return file["probabilities"], file["labels"]
