"""A probe before fine-tuning, and norms that keep their statistics: where a training starts from, and what stays."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medray._types import silent
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError
from medray.space.loading import parse
from medray.training import probe
from medray.training.check import check_space
from medray.training.loop import begin_training, fit
from medray.training.models import build_network
from medray.training.probe import WEIGHT_DECAY, fit_probe

pytestmark = pytest.mark.component

BACKBONE = "resnet8_small"
CPU = torch.device("cpu")


@pytest.fixture
def weights(dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of weights whose BatchNorms have seen other images."""
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    network = build_network(TrainConfig(backbone=BACKBONE), dataset.shape, 5).train()
    for _ in range(30):
        network(torch.rand(32, 1, *dataset.shape[:2]) ** 3)
    save_file(network.get_submodule("backbone").state_dict(), tmp_path / f"{BACKBONE}.safetensors")
    return str(tmp_path)


def config_of(weights: str | None, **values: Any) -> TrainConfig:
    return TrainConfig.from_dict(
        {"backbone": BACKBONE, "weights": weights, "batch_size": 16, "epochs": 2, "learning_rate": 0.001, **values}
    )


def start(config: TrainConfig, dataset: ImageDataset) -> dict[str, Tensor]:
    """The network before its first epoch."""
    training = begin_training(config, dataset.split("train"), dataset.split("val"), CPU, silent)
    return {name: tensor.clone() for name, tensor in training.network.state_dict().items()}


@pytest.mark.parametrize(
    "values",
    [
        {"dropout": 0.3, "pipeline": ({"HorizontalFlip": {}},)},
        {"task": "ordered", "loss": "cumulative"},
        {"class_balance": "loss", "label_smoothing": 0.1, "mixup": 0.2},
        {"freeze_epochs": 1, "fine_tune_rate": 0.0001},
    ],
)
def test_a_training_starts_from_the_linear_head_that_is_best_on_the_features(
    dataset: ImageDataset, weights: str, values: dict[str, Any]
) -> None:
    config = config_of(weights, **values)
    plain = {key: values[key] for key in ("task", "loss", "class_balance", "label_smoothing") if key in values}
    linear = config_of(weights, optimizer="lbfgs", trainable_blocks=0, weight_decay=WEIGHT_DECAY, **plain)
    (alone,) = fit(linear, dataset.split("train"), dataset.split("val"))
    found, file = start(config, dataset), load_file(f"{weights}/{BACKBONE}.safetensors")
    for name, tensor in alone.best_network.items():
        assert torch.allclose(found[name], tensor, atol=0.03), name
    body = [name for name in file if found[f"backbone.{name}"].shape == file[name].shape]
    assert all(torch.equal(found[f"backbone.{name}"], file[name]) for name in body)
    assert len(body) > 20


def test_the_features_are_computed_once_and_training_learns_everything(
    dataset: ImageDataset, weights: str
) -> None:
    heard: list[int] = []
    slices = dataset.split("train"), dataset.split("val")
    for seed in (1, 2):
        config = config_of(weights, seed=seed, freeze_norms=True)
        results = list(fit(config, *slices, embedding=lambda message, done, total: heard.append(total)))
        assert results[-1].untrained == frozenset()
    assert heard == [len(slices[0])] * len(heard)
    first = len(heard)
    list(fit(config_of(weights, seed=3), *slices, embedding=lambda *_: heard.append(0)))
    assert len(heard) == first > 0


@pytest.mark.parametrize(
    ("values", "fitted"),
    [
        ({}, True),
        ({"probe_first": False}, False),
        ({"weights": None}, False),
        ({"head_width": 8}, False),
        ({"optimizer": "lbfgs", "trainable_blocks": 0}, False),  # it is what the training does
        ({"backbone": "lenet5", "weights": None, "pretrained": True}, False),  # its head is all dense layers
    ],
)
def test_where_there_is_no_probe_the_network_starts_as_it_is_built(
    dataset: ImageDataset, weights: str, values: dict[str, Any], fitted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDRAY_WEIGHTS", weights)
    lenet = build_network(TrainConfig(backbone="lenet5"), dataset.shape, 5).get_submodule("backbone")
    save_file(lenet.state_dict(), f"{weights}/lenet5.safetensors")
    config = config_of(**{"weights": weights, **values})
    network = build_network(config, dataset.shape, len(dataset.class_names))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert fit_probe(config, network, dataset.split("train"), CPU, silent) is fitted
    same = all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert same is not fitted


def test_neither_with_too_many_images_nor_over_a_head_that_is_in_the_weights(
    dataset: ImageDataset, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, classes = dataset.split("train"), len(dataset.class_names)
    monkeypatch.setattr(probe, "MOST_IMAGES", len(train) - 1)
    config = config_of(weights)
    network = build_network(config, dataset.shape, classes)
    assert not fit_probe(config, network, train, CPU, silent)
    monkeypatch.undo()
    save_file(network.get_submodule("backbone").state_dict(), f"{weights}/{BACKBONE}.safetensors")
    again = build_network(config, dataset.shape, classes)
    assert again.head_given
    assert not fit_probe(config, again, train, CPU, silent)


def test_frozen_norms_keep_their_statistics_and_learn_their_scale(dataset: ImageDataset, weights: str) -> None:
    def norms(**values: Any) -> dict[str, Tensor]:
        *_, last = fit(config_of(weights, **values), dataset.split("train"), dataset.split("val"))
        return {
            n.removeprefix("backbone."): t for n, t in last.state().network.items() if n.startswith("backbone.")
        }

    file = load_file(f"{weights}/{BACKBONE}.safetensors")
    statistics = [name for name in file if "running_" in name]
    scales = [name.replace("running_mean", "weight") for name in statistics if name.endswith("mean")]
    assert scales
    frozen, learning = norms(freeze_norms=True), norms()
    assert all(torch.equal(frozen[name], file[name]) for name in statistics)
    assert not any(torch.equal(learning[name], file[name]) for name in statistics)
    assert not any(torch.equal(frozen[name], file[name]) for name in scales)


def test_a_resumed_training_keeps_them_too(dataset: ImageDataset, weights: str) -> None:
    config, slices = (
        config_of(weights, freeze_norms=True, epochs=3),
        (dataset.split("train"), dataset.split("val")),
    )
    unbroken = [result.train_loss for result in fit(config, *slices)]
    state = next(fit(config, *slices)).state()
    assert [result.train_loss for result in fit(config, *slices, resume=state)] == unbroken[1:]


def test_random_weights_have_no_statistics_to_keep(dataset: ImageDataset, weights: str) -> None:
    text = (
        "name: mine\ndata: phantom\nobjective: {metric: auc}\n"
        "budget: {trials: 2, max_epochs: 2, grace_epochs: 1, reduction_factor: 2, patience: null}\n"
        f"space:\n  backbone: {{choice: [{BACKBONE}]}}\n  freeze_norms: {{choice: [true, false]}}\n"
    )
    line = "mine.yaml: space.freeze_norms: there are no statistics to keep in random weights"
    with pytest.raises(ConfigError, match=line):
        check_space(parse(text, "mine.yaml"), dataset)
    check_space(parse(f"{text}fixed: {{weights: '{weights}'}}\n", "mine.yaml"), dataset)


def test_the_last_layer_of_a_timm_network_starts_small() -> None:
    for backbone in ("efficientnet_b0", "resnet10t"):
        network = build_network(TrainConfig(backbone=backbone, probe_first=False), (32, 32, 3), 2).eval()
        layer = network.get_submodule("backbone").get_classifier()  # type: ignore[operator]
        assert 0.005 < layer.weight.std() < 0.02
        assert not layer.bias.any()
