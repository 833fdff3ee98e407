"""The head on the means of all stages: which backbones have it, what it sees, and that it travels like any other."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError
from medray.training.loop import fit, predict_images
from medray.training.models import build_network, parts_of
from medray.training.models.stage_pooling import StagePooling
from medray.training.weights import load_network

pytestmark = pytest.mark.component

SHAPE = (32, 32, 1)


@pytest.mark.parametrize(
    ("backbone", "features"), [("resnet10t", 64 + 64 + 128 + 256 + 512 + 512), ("regnetx_002", None)]
)
def test_the_head_sees_the_mean_of_every_stage(backbone: str, features: int | None) -> None:
    network = build_network(TrainConfig(backbone=backbone, pooling="stages"), SHAPE, 3).eval()
    pooling = network.get_submodule("backbone")
    assert isinstance(pooling, StagePooling)
    assert features is None or pooling.head.in_features == features
    images = torch.rand(2, 1, 32, 32)
    seen = pooling.pooled(images)
    last, stages = pooling.model.forward_intermediates(images)
    width = stages[0].shape[1]
    assert torch.allclose(seen[:, :width], stages[0].mean(dim=(2, 3)))
    assert torch.allclose(seen[:, -last.shape[1] :], last.mean(dim=(2, 3)), atol=1e-6)


def test_blocks_are_those_of_the_backbone_and_the_head_is_its_own() -> None:
    plain = parts_of(build_network(TrainConfig(backbone="resnet10t"), SHAPE, 3).get_submodule("backbone"))
    staged = parts_of(
        build_network(TrainConfig(backbone="resnet10t", pooling="stages"), SHAPE, 3).get_submodule("backbone")
    )
    assert [tuple(f"model.{n}" for n in block) for block in plain.blocks] == list(staged.blocks)
    assert staged.head == ("head.weight", "head.bias")


@pytest.mark.parametrize("trainable_blocks", [0, 1, None])
def test_it_trains_from_a_file_freezes_and_is_loaded_again(
    dataset: ImageDataset, tmp_path: Path, trainable_blocks: int | None
) -> None:
    donor = build_network(TrainConfig(backbone="resnet10t"), (12, 12, 1), 3).get_submodule("backbone")
    save_file(donor.state_dict(), tmp_path / "resnet10t.safetensors")
    config = TrainConfig(
        backbone="resnet10t", pooling="stages", weights=str(tmp_path), trainable_blocks=trainable_blocks, epochs=2,
        batch_size=16, dropout=0.1,
    )  # fmt: skip
    val = dataset.split("val")
    *_, last = fit(config, dataset.split("train"), val)
    kept = last.best_network["backbone.model.conv1.0.weight"]
    assert torch.equal(kept, donor.state_dict()["conv1.0.weight"]) == (trainable_blocks is not None)
    network = load_network(config, dataset.shape, 3, last.best_network, "weights")
    outputs = predict_images(network, val, torch.device("cpu"))
    assert abs(outputs.probabilities - last.best_outputs.probabilities).max() < 1e-3
    save_file({n: t.contiguous() for n, t in last.best_network.items()}, tmp_path / "ours.safetensors")
    again = TrainConfig(backbone="resnet10t", weights=str(tmp_path / "ours.safetensors"))
    assert build_network(again, dataset.shape, 3).get_submodule("backbone")


def test_medrays_own_networks_have_no_stages_to_give() -> None:
    with pytest.raises(ConfigError, match="pooling: the backbone does not give its stages"):
        build_network(TrainConfig(backbone="lenet5", pooling="stages"), SHAPE, 3)
