"""What is asked of a search space before anything is trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import ConfigError, DataError, WeightsError
from medray.space.loading import parse
from medray.stats.case_rule import ATTENTION, CaseRule
from medray.stats.cases import CaseIndex
from medray.training.check import check_space
from medray.training.models import build_network

HEAD = """
name: mine
data: phantom
objective: {metric: auc}
budget: {trials: 4, max_epochs: 6, grace_epochs: 2, reduction_factor: 2, patience: null}
"""


def refusal(dataset: ImageDataset, lines: str) -> str:
    with pytest.raises((ConfigError, WeightsError)) as caught:
        check_space(parse(HEAD + lines, "mine.yaml"), dataset)
    message = str(caught.value)
    assert "\n" not in message
    return message


def write_weights(backbone: str, dataset: ImageDataset, path: Path) -> Path:
    """Write weights of a backbone for images of the data set."""
    network = build_network(TrainConfig(backbone=backbone), dataset.shape, len(dataset.class_names))
    path.write_bytes(save(network.get_submodule("backbone").state_dict()))
    return path


def test_more_blocks_than_a_network_has(dataset: ImageDataset, tmp_path: Path) -> None:
    for name in ("lenet5", "resnet8_small"):
        write_weights(name, dataset, tmp_path / f"{name}.safetensors")
    blocks = "  trainable_blocks: {int: [0, 3]}\n"
    lines = f"fixed: {{weights: '{tmp_path}'}}\nspace:\n  backbone: {{choice: [lenet5, resnet8_small]}}\n"
    assert refusal(dataset, lines + blocks) == "mine.yaml: space.trainable_blocks: 3, but the backbone has 2"
    conditional = lines + blocks.replace("]}", "], when: {backbone: resnet8_small}}")
    check_space(parse(HEAD + conditional, "mine.yaml"), dataset)
    compared = "space: {dropout: {uniform: [0, 0.5]}}\nbaselines: {a: {trainable_blocks: 9, compare_only: true}}\n"
    assert refusal(dataset, compared).startswith("mine.yaml: baselines.a.trainable_blocks: frozen layers")


@pytest.mark.parametrize("line", ["freeze_epochs: {int: [0, 2]}", "trainable_blocks: {choice: [null, 0]}"])
def test_a_backbone_that_would_be_frozen_at_random(dataset: ImageDataset, line: str) -> None:
    lines = f"space: {{{line}, backbone: {{choice: [resnet10t]}}}}\n"
    message = refusal(dataset, lines)
    assert message.startswith(
        f"mine.yaml: space.{line.partition(':')[0]}: frozen layers would keep random weights"
    )
    check_space(parse(HEAD + lines + "fixed: {pretrained: true}\n", "mine.yaml"), dataset)


def test_weights_that_are_not_there_or_are_a_pickle(dataset: ImageDataset, tmp_path: Path) -> None:
    lines = "space: {dropout: {uniform: [0, 0.5]}}\nfixed: {weights: '%s'}\n"
    assert refusal(dataset, lines % (tmp_path / "w.safetensors")).endswith(
        f"no such file: {tmp_path}/w.safetensors"
    )
    assert refusal(dataset, lines % tmp_path).endswith(f"no such file: {tmp_path}/lenet5.safetensors")
    torch.save({}, tmp_path / "w.pth")
    assert "is a pickle, which could run code" in refusal(dataset, lines % (tmp_path / "w.pth"))


def test_weights_of_another_network_or_that_are_damaged(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_weights("lenet5", dataset, tmp_path / "resnet10t.safetensors")
    lines = "space: {backbone: {choice: [lenet5, resnet10t]}}\nfixed: {weights: '%s'}\n"
    assert refusal(dataset, lines % file).startswith(
        f"mine.yaml: fixed.weights: {file} is of another network: it lacks conv1.0.weight of shape (24, 1, 3, 3); "
    )
    searched = "space: {weights: {choice: ['%s']}, backbone: {choice: [resnet10t]}}\n"
    assert refusal(dataset, searched % file).startswith(f"mine.yaml: space.weights: {file} is of another network")
    compared = "space: {dropout: {uniform: [0, 0.5]}}\nbaselines: {a: {backbone: resnet10t, pretrained: true, compare_only: true}}\n"
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(tmp_path))
    assert refusal(dataset, compared).startswith(
        f"mine.yaml: baselines.a.pretrained: {file} is of another network"
    )
    file.write_bytes(b"no weights")
    assert refusal(dataset, lines % file).startswith(f"mine.yaml: fixed.weights: {file} is no safetensors file: ")
    write_weights("lenet5", dataset, file)
    check_space(parse(HEAD + (lines % file).replace("[lenet5, resnet10t]", "[lenet5]"), "mine.yaml"), dataset)


def test_what_a_backbone_does_not_have(dataset: ImageDataset) -> None:
    published = "space: {backbone: {choice: [%s]}}\nfixed: {pretrained: true, image_size: 64}\n"
    assert "there are no published weights of lenet5" in refusal(dataset, published % "lenet5")
    assert "torchvision publishes them as a pickle" in refusal(dataset, published % "'torchvision:alexnet'")
    pooled = "space: {backbone: {choice: [resnet10t, %s]}}\nfixed: {pooling: stages}\n"
    assert refusal(dataset, pooled % "lenet5") == (
        "mine.yaml: fixed.pooling: the backbone does not give its stages; `pooling: last` works with all"
    )
    check_space(parse(HEAD + pooled % "resnet18", "mine.yaml"), dataset)
    blocks = "space: {trainable_blocks: {int: [1, %d]}}\nfixed: {backbone: resnet10t, pretrained: true}\n"
    assert refusal(dataset, blocks % 6) == "mine.yaml: space.trainable_blocks: 6, but the backbone has 5"
    check_space(parse(HEAD + blocks % 5, "mine.yaml"), dataset)


def test_a_head_that_lbfgs_can_fit(dataset: ImageDataset, tmp_path: Path) -> None:
    write_weights("lenet5", dataset, tmp_path / "lenet5.safetensors")
    lines = "space: {weight_decay: {log: [0.0001, 0.1]}}\nfixed: {optimizer: lbfgs, trainable_blocks: 0, %s}\n"
    own = f"backbone: lenet5, weights: '{tmp_path}'"
    assert refusal(dataset, lines % own).startswith("mine.yaml: fixed.optimizer: lbfgs fits one dense layer")
    check_space(parse(HEAD + lines % "backbone: resnet10t, pretrained: true", "mine.yaml"), dataset)


def test_weights_fit_at_each_size(dataset: ImageDataset, tmp_path: Path) -> None:
    write_weights("lenet5", dataset, tmp_path / "lenet5.safetensors")
    lines = f"space: {{image_size: {{choice: [12, 24]}}}}\nfixed: {{backbone: lenet5, weights: '{tmp_path}'}}\n"
    assert refusal(dataset, lines).startswith("mine.yaml: fixed.weights: ")


def test_a_pipeline_keeps_the_shape_at_each_size(dataset: ImageDataset) -> None:
    lines = (
        "space: {image_size: {choice: [8, 12]}}\nfixed: {backbone: lenet5, transforms: cut}\n"
        "transforms: {cut: [{RandomResizedCrop: {size: [%d, %d]}}]}\n"
    )
    assert refusal(dataset, lines % (12, 12)).startswith("mine.yaml: transforms.cut[0].RandomResizedCrop: ")
    at_one = lines.replace("{choice: [8, 12]}", "{choice: [8]}")
    check_space(parse(HEAD + at_one % (8, 8), "mine.yaml"), dataset)
    larger = lines.replace("{choice: [8, 12]}", "{choice: [12, 32]}")  # which comes behind the pipeline
    check_space(parse(HEAD + larger % (12, 12), "mine.yaml"), dataset)


def test_attention_needs_a_dense_last_layer(dataset: ImageDataset) -> None:
    cases = CaseIndex(CaseRule("patient", ATTENTION), np.arange(len(dataset.labels)))
    attending, lines = replace(dataset, cases=cases), "space: {backbone: {choice: [resnet10t, dpn48b]}}\n"
    assert refusal(attending, lines).startswith("mine.yaml: space.backbone: the backbone has no dense last layer")
    check_space(parse(HEAD + lines, "mine.yaml"), dataset)
    widened = "space: {head_width: {choice: [null, 8]}}\nfixed: {backbone: resnet10t, pooling: stages}\n"
    check_space(parse(HEAD + widened, "mine.yaml"), attending)
    assert "head_width: the backbone has no dense" in refusal(
        dataset, "space: {head_width: {int: [8, 9]}}\nfixed: {backbone: dpn48b}\n"
    )


def test_images_that_are_too_small(dataset: ImageDataset) -> None:
    message = refusal(dataset, "space: {backbone: {choice: [lenet5, cnn4_64]}}\n")
    assert message == (
        "mine.yaml: space.backbone.choice: images of 12×12 are too small for 4 poolings; 46×46 is least"
    )


def test_a_backbone_under_another_name(dataset: ImageDataset) -> None:
    assert "(did you mean 'efficientnet_b0'?)" in refusal(
        dataset, "space: {backbone: {choice: [EfficientNetB0]}}\n"
    )


def test_a_size_that_a_backbone_refuses_is_named_with_the_nearest_that_it_takes(dataset: ImageDataset) -> None:
    both = "space: {backbone: {choice: [resnet10t, vit_tiny_patch16_224]}, image_size: {choice: [32, 100]}}\n"
    assert refusal(dataset, both) == (
        "mine.yaml: space.image_size.choice: vit_tiny_patch16_224 does not take images of 100×100: that is no "
        "multiple of its patches of 16×16; the nearest `image_size` that it takes: 96 and 112"
    )
    apart = (
        "space:\n  backbone: {choice: [resnet10t, vit_tiny_patch16_224]}\n  image_size:\n"
        "  - {choice: [100, null], when: {backbone: resnet10t}}\n"
        "  - {choice: [32], when: {backbone: vit_tiny_patch16_224}}\n"
    )
    check_space(parse(HEAD + apart, "mine.yaml"), dataset)
    small = "space: {backbone: {choice: [lenet5, cnn5]}}\nfixed: {image_size: %s}\n"
    assert refusal(dataset, small % 30) == (
        "mine.yaml: fixed.image_size: images of 30×30 are too small for 5 poolings; 32×32 is least"
    )
    check_space(parse(HEAD + small % 32, "mine.yaml"), dataset)
    alone = "space: {backbone: {choice: [vit_tiny_patch16_224]}}\n"
    assert refusal(dataset, alone).startswith(
        "mine.yaml: space.backbone.choice: vit_tiny_patch16_224 does not take images of 12×12: that is no multiple"
    )
    compared = "space: {dropout: {uniform: [0, 0.5]}}\nbaselines: {a: {image_size: 3, compare_only: true}}\n"
    assert refusal(dataset, compared).startswith("mine.yaml: baselines.a.image_size: images of 3×3 are too small")


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("metric", ["auc", "accuracy"])
def test_a_class_that_train_or_val_lacks(dataset: ImageDataset, split: str, metric: str) -> None:
    positions = dataset.splits[split]
    lacking = replace(dataset, splits={**dataset.splits, split: positions[dataset.labels[positions] != 1]})
    space = parse(HEAD.replace("auc", metric) + "space: {dropout: {uniform: [0, 0.5]}}\n", "mine.yaml")
    with pytest.raises(
        DataError, match=f"split '{split}' has no image of 1, so .*min_count: N.*merge: "
    ) as caught:
        check_space(space, lacking)
    assert "\n" not in str(caught.value)
    patients = np.where(dataset.labels == 1, "p1", np.arange(len(dataset)).astype(str))
    with pytest.raises(DataError, match=r"no image of 1 \(all its images are of one patient\), so"):
        check_space(space, replace(lacking, groups=patients))
    check_space(space, replace(dataset, splits={**dataset.splits, "test": dataset.splits["test"][:1]}))
