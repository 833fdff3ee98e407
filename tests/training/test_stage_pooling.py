"""The head on the means of all stages: which backbones have it, what it sees, and that it travels like any other."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError
from medray.training.loop import fit
from medray.training.models import build_network, parts_of
from medray.training.models.stage_pooling import StagePooling
from medray.training.predict import predict_images
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
    linear = pooling.head[1]
    assert isinstance(linear, torch.nn.Linear)
    assert features is None or linear.in_features == features
    images = torch.rand(2, 1, 32, 32)
    seen = pooling.pooled(*pooling.stages(images))
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
    assert {"head.1.weight", "head.1.bias", "head.0.limit"} <= set(staged.head)


def test_a_mirrored_one_gives_an_image_and_its_mirror_image_one_answer() -> None:
    images = torch.rand(2, 1, 32, 32)
    for pooling, equal in (("stages", False), ("mirrored", True)):
        network = build_network(TrainConfig(backbone="resnet10t", pooling=pooling), SHAPE, 3).eval()
        with torch.no_grad():
            assert torch.allclose(network(images), network(images.flip(3)), atol=1e-5) == equal


def test_a_linear_head_clips_what_no_training_image_shows(dataset: ImageDataset) -> None:
    config = TrainConfig(
        backbone="resnet10t", pooling="stages", optimizer="lbfgs", trainable_blocks=0, weight_decay=0.001
    )
    (result,) = fit(config, dataset.split("train"), dataset.split("val"))
    assert result.metrics["auc"] > 0.7
    network = load_network(config, dataset.shape, 3, result.best_network, "weights")
    head = network.get_submodule("backbone.head")
    features = torch.zeros(1, head[0].mean.shape[0])  # type: ignore[index]
    wild = features + 1e6
    with torch.no_grad():
        assert head(wild).abs().max() < 3 * head[1].weight.abs().sum(dim=1).max() + 10  # type: ignore[index]


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
