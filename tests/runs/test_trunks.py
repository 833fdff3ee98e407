"""What no training of a run changes is in a file once; all that reads weights joins both and checks the hash."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from medray import Ensemble
from medray.cluster.trial_worker import Worker
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.data.folds import make_folds
from medray.ensemble.candidates import trial_pool
from medray.ensemble.predict_networks import predict_networks
from medray.ensemble.selection import make_selection
from medray.ensemble.write_ensemble import write_ensemble
from medray.errors import WeightsError
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir, TrialDir, read_outputs
from medray.runs.selection_facts import TOP_K
from medray.runs.trial_record import FINISHED
from medray.runs.trunks import complete_weights
from medray.training.models import build_network
from medray.training.weights import weights_from_bytes

pytestmark = pytest.mark.component

BACKBONE = "resnet8_small"
SETTINGS = {"backbone": BACKBONE, "batch_size": 16, "epochs": 2, "monitor": "auc", "trainable_blocks": 0}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of starting weights."""
    folder = tmp_path_factory.mktemp("starting")
    torch.manual_seed(0)
    for backbone in (BACKBONE, "lenet5"):
        network = build_network(TrainConfig(backbone=backbone), (12, 12, 1), 3).train()
        network(torch.rand(32, 1, 12, 12))
        save_file(network.get_submodule("backbone").state_dict(), folder / f"{backbone}.safetensors")
    return str(folder)


def train(folder: TrialDir, dataset: ImageDataset, weights: str, steps: int = 99, **values: object) -> None:
    """Train so many epochs of a trial, and end it where there are no more."""
    settings = {**SETTINGS, "weights": weights, **values}
    folder.write_json(folder.CONFIG, TrainConfig.from_dict(settings).to_dict())
    go_on(folder, dataset, steps)


def go_on(folder: TrialDir, dataset: ImageDataset, steps: int = 99) -> None:
    worker = Worker(threads=1)
    worker.open(folder, dataset.split("train"), dataset.split("val"), "auc")
    for _ in range(steps):
        if (result := worker.step()).done:
            assert result.ended_by != "failed", result
            folder.write_record(
                folder.make_record(int(Path(folder.location).name), FINISHED, ended_by=result.ended_by)
            )
            return


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, dataset: ImageDataset, weights: str) -> RunDir:
    """Two trials on one frozen backbone, one on half of it, one on nothing frozen, and one on little."""
    run = RunDir(str(tmp_path_factory.mktemp("trunks") / "run"))
    changes: list[dict[str, object]] = [
        {"seed": 1}, {"seed": 2, "head_width": 8, "freeze_epochs": 1}, {"trainable_blocks": 1},
        {"trainable_blocks": None}, {"backbone": "lenet5"},
    ]  # fmt: skip
    for number, values in enumerate(changes):
        train(run.trial(number), dataset, weights, **values)
        record = run.trial(number).record()
        assert record is not None
    return run


@pytest.fixture
def run(trained: RunDir, tmp_path: Path) -> RunDir:
    """A copy, to damage."""
    return RunDir(str(shutil.copytree(trained.location, tmp_path / "copy")))


def test_a_trunk_is_written_once_and_left_out_of_weights(trained: RunDir) -> None:
    home = Path(trained.location)
    names = trained.trunks.names()
    assert len(names) == 2  # of all blocks, and of those before the last one
    assert names == sorted(
        f"{hashlib.sha256((home / 'trunks' / name).read_bytes()).hexdigest()}.safetensors" for name in names
    )
    named, sizes = {}, {}
    for number in range(5):
        content = trained.trial(number).read(TrialDir.WEIGHTS)
        tensors, facts = weights_from_bytes(content, "weights")
        named[number], sizes[number] = facts["trunk"], len(content)
        assert "normalise.mean" in tensors  # of its own images: folds share a trunk
        if facts["trunk"] is not None:
            shared = load_file(home / f"trunks/{facts['trunk']}.safetensors")
            assert not shared.keys() & tensors.keys()
    assert named[0] == named[1] != named[2] is not None
    assert named[3] is named[4] is None  # nothing is frozen, or too little to be worth a file
    assert sizes[0] < 0.05 * sizes[3]


def test_joined_again_they_give_the_predictions_of_validation(trained: RunDir, dataset: ImageDataset) -> None:
    val = dataset.split("val")
    for (number, _), outputs in predict_networks(trained, dataset, val, [(n, None) for n in range(5)]).items():
        record = trained.trial(number).record()
        assert record is not None
        stored, _ = read_outputs(trained.trial(number), record.best_epoch, None)
        assert np.abs(outputs.probabilities - stored.probabilities).max() < 1e-3  # of features in float16


def test_members_of_an_ensemble_are_complete(run: RunDir, dataset: ImageDataset, tmp_path: Path) -> None:
    for number in (3, 4):
        shutil.rmtree(Path(run.location) / f"trials/{number:04d}")
    pool = trial_pool(run, [r for n in (0, 1, 2) if (r := run.trial(n).record())], "max")
    selection = make_selection(TOP_K, pool, [(candidate, 1.0) for candidate in pool.candidates])
    manifest = write_ensemble(run, selection, data=DataFacts.of(dataset), metric="auc")
    copied = shutil.copytree(Path(run.location) / "ensemble", tmp_path / "copied")
    keys = [(member.trial, member.fold) for member in manifest.members]
    hashes = {key: member.sha256 for key, member in zip(keys, manifest.members, strict=True)}
    val = dataset.split("val")
    expected = predict_networks(run, dataset, val, keys, hashes)
    shutil.rmtree(run.location)
    ensemble = Ensemble.load(copied)
    for key, outputs in zip(keys, ensemble.member_outputs(val.take(np.arange(len(val)))[0]), strict=True):
        assert np.abs(outputs.probabilities - expected[key].probabilities).max() < 1e-6


def test_a_missing_or_damaged_trunk_is_named(run: RunDir, dataset: ImageDataset) -> None:
    weights = Path(run.location) / "trials/0000/weights.safetensors"
    _, facts = weights_from_bytes(weights.read_bytes(), "weights")
    trunk = Path(run.location) / f"trunks/{facts['trunk']}.safetensors"
    whole = bytearray(trunk.read_bytes())
    whole[-1] ^= 1
    trunk.write_bytes(whole)
    with pytest.raises(
        WeightsError, match=f"^{trunk} is damaged: its SHA-256 is not its name; {weights} needs it$"
    ):
        complete_weights(run.trial(0))
    trunk.unlink()
    with pytest.raises(WeightsError, match=f"^{trunk} is missing, which {weights} needs$"):
        predict_networks(run, dataset, dataset.split("val"), [(0, None)])
    weights.unlink()
    with pytest.raises(WeightsError, match=f"^{weights} is missing$"):
        complete_weights(run.trial(0))


@pytest.mark.parametrize("values", [{}, {"freeze_epochs": 1, "trainable_blocks": 1}, {"backbone": "lenet5"}])
def test_a_training_goes_on_from_a_checkpoint_without_its_trunk(
    tmp_path: Path, dataset: ImageDataset, weights: str, values: dict[str, object]
) -> None:
    run = RunDir(str(tmp_path))
    for number, steps in ((0, 99), (1, 1)):
        train(run.trial(number), dataset, weights, steps, epochs=3, learning_rate=0.01, **values)
    checkpoint = run.trial(1).read(TrialDir.CHECKPOINT)
    go_on(run.trial(1), dataset)
    unbroken, broken = (complete_weights(run.trial(number)) for number in (0, 1))
    assert unbroken == broken
    tensors, facts = weights_from_bytes(checkpoint, "checkpoint")
    assert (facts["trunk"] is None) == ("backbone" in values)
    assert len(run.trunks.names()) == ("backbone" not in values)
    trunk = {} if facts["trunk"] is None else load_file(tmp_path / f"trunks/{facts['trunk']}.safetensors")
    assert not {f"network.{name}" for name in trunk} & tensors.keys()


def test_folds_share_the_trunk_of_the_search(run: RunDir, dataset: ImageDataset, weights: str) -> None:
    before = run.trunks.names()
    for number, fold in enumerate(make_folds(dataset, 2, 0).folds):
        folder = run.fold(0, number)
        folder.write_json(folder.CONFIG, {**run.trial(0).read_json(TrialDir.CONFIG), "seed": 7})
        worker = Worker(threads=1)
        worker.open(folder, dataset.at(fold.train), dataset.at(fold.val), "auc")
        while not worker.step().done:
            pass
    assert run.trunks.names() == before
    outputs = predict_networks(run, dataset, dataset.split("val"), [(0, 0), (0, 1)])
    assert len({outputs[0, fold].probabilities.tobytes() for fold in (0, 1)}) == 2
