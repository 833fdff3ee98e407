import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medray import Ensemble
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.ensemble import average
from medray.ensemble.candidates import trial_pool
from medray.ensemble.choose import top_k
from medray.ensemble.manifest import write_ensemble
from medray.ensemble.ways import TOP_K, make_way
from medray.errors import DataError, MedrayError, RunError, WeightsError
from medray.runs import FAILED, FINISHED, STOPPED, RunDir, TrialRecord
from medray.worker import Worker


def trained(
    run: RunDir, dataset: ImageDataset, number: int, state: str = FINISHED, **settings: object
) -> TrialRecord:
    """Train a trial as a worker does, and end it as the ledger does."""
    config = TrainConfig.from_dict({"batch_size": 16, "epochs": 2, "learning_rate": 0.005, **settings})
    run.trial(number).write_json("config.json", config.to_dict())
    worker = Worker(threads=1)
    worker.open(run.trial(number), dataset.split("train"), dataset.split("val"), "auc")
    while not worker.step()["done"]:
        pass
    last = run.trial(number).epochs()[-1]
    record = TrialRecord(
        number=number, state=state, objective=last["objective"], best_epoch=last["best_epoch"],
        epochs=last["epoch"], metrics=last["best"], settings={"backbone": config.backbone},
    )  # fmt: skip
    run.trial(number).write_record(record)
    return record


@pytest.fixture(scope="module")
def run_and_records(
    tmp_path_factory: pytest.TempPathFactory, dataset: ImageDataset
) -> tuple[RunDir, list[TrialRecord]]:
    run = RunDir(str(tmp_path_factory.mktemp("run")))
    records = [
        trained(run, dataset, 0, seed=0),
        trained(run, dataset, 1, seed=1, backbone="resnet8_small", state=STOPPED),
        trained(run, dataset, 2, seed=0),  # trial 0 once more
        trained(run, dataset, 3, seed=3, backbone="lenet5_wide_bn"),
    ]
    pool = trial_pool(run, records, "max", limit=3)
    way = make_way(TOP_K, pool, top_k(pool.candidates, 3), calibrate=False)
    write_ensemble(run, way, data=dataset.facts(), metric="auc")
    return run, records


@pytest.fixture
def folder(run_and_records: tuple[RunDir, list[TrialRecord]], tmp_path: Path) -> Path:
    """The ensemble alone, copied elsewhere."""
    import shutil

    source = run_and_records[0].ensemble.local
    assert source is not None
    return Path(shutil.copytree(source, tmp_path / "copied"))


def test_it_gives_the_average_of_its_members(
    folder: Path, run_and_records: tuple[RunDir, list[TrialRecord]], dataset: ImageDataset
) -> None:
    run, _ = run_and_records
    ensemble = Ensemble.load(folder)
    images, labels = dataset.split("val").take(np.arange(24))
    prediction = ensemble.predict(images)
    stored = [
        np.load(Path(run.location) / f"trials/{member['trial']:04d}/val_predictions.npz")["probabilities"]
        for member in ensemble.manifest["members"]
    ]
    assert len(stored) == 3
    assert np.allclose(prediction.probabilities, np.mean(stored, axis=0), atol=1e-6)
    assert prediction.probabilities.shape == (24, 3)
    assert prediction.probabilities.dtype == np.float32
    assert np.allclose(prediction.probabilities.sum(axis=1), 1, atol=1e-6)
    accuracy = (prediction.labels == labels).mean()
    assert ensemble.manifest["chosen_on"]["scores"]["accuracy"] == pytest.approx(accuracy)
    assert prediction.names[0] == ensemble.class_names[prediction.labels[0]]


def test_a_repeated_member_is_not_counted_twice(run_and_records: tuple[RunDir, list[TrialRecord]]) -> None:
    run, records = run_and_records
    numbers = [candidate.number for candidate in trial_pool(run, records, "max").candidates]
    assert sorted(numbers) == [0, 1, 3]


def test_it_loads_without_ray_and_without_the_run(folder: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom medray import Ensemble\n"
        f"p = Ensemble.load({str(folder)!r}).predict(np.zeros((2, 12, 12, 1), np.uint8))\n"
        "assert p.probabilities.shape == (2, 3)\n"
        "print([m for m in ('ray', 'optuna', 'albumentations', 'timm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.strip() == "[]"


def test_images_of_another_kind_are_refused(folder: Path) -> None:
    ensemble = Ensemble.load(folder)
    for images in (np.zeros((2, 13, 12, 1), np.uint8), np.zeros((2, 12, 12), np.uint8), np.zeros((2, 12, 12, 1))):
        with pytest.raises(DataError, match=r"not uint8 \(N, 12, 12, 1\)"):
            ensemble.predict(images)
    assert ensemble.predict(np.zeros((0, 12, 12, 1), np.uint8)).probabilities.shape == (0, 3)


def test_a_damaged_folder_is_refused(folder: Path) -> None:
    member = next((folder / "members").glob("*.safetensors"))
    content = member.read_bytes()
    member.write_bytes(content[:-4] + b"\x00\x00\x00\x01")
    with pytest.raises(WeightsError, match="its SHA-256 differs"):
        Ensemble.load(folder)
    member.unlink()
    with pytest.raises(WeightsError, match=f"{member.name} is missing"):
        Ensemble.load(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(RunError, match="is of format 99"):
        Ensemble.load(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        Ensemble.load(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(RunError, match=r"is no ensemble: it has no manifest\.json"):
        Ensemble.load(folder)


def test_predictions_of_another_epoch_are_not_taken(
    run_and_records: tuple[RunDir, list[TrialRecord]], tmp_path: Path
) -> None:
    import dataclasses

    run, records = run_and_records
    wrong = dataclasses.replace(records[0], best_epoch=records[0].best_epoch + 1)
    with pytest.raises(MedrayError, match="is damaged: it is of epoch"):
        trial_pool(run, [wrong], "max")


def test_failed_trials_are_never_members(run_and_records: tuple[RunDir, list[TrialRecord]]) -> None:
    run, records = run_and_records
    failed = TrialRecord(number=9, state=FAILED, reason="the loss became nan", objective=1.0)
    assert all(c.number != 9 for c in trial_pool(run, [*records, failed], "max").candidates)


def test_average_weighs_its_parts() -> None:
    parts = [np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)]
    assert average(parts, [3.0, 1.0]).tolist() == [[0.75, 0.25]]
