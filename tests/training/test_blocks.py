"""The blocks and the head of every kind of backbone, and heads that are wider."""

import functools
import itertools

import pytest
import torch
from torch import nn

from medray.config import TrainConfig
from medray.errors import ConfigError
from medray.training.models import MODELS, Network, Parts, build_network, check_backbone, parts_of

SHAPE = (64, 64, 1)
#: Backbone -> how many blocks it has, and what begins the last one.
BLOCKS = {
    "lenet5": (2, "3.weight"),
    "lenet5_wide_bn": (2, "4.weight"),
    "cnn4_64": (4, "12.weight"),
    "cnn5": (5, "12.weight"),
    "cnn10_bn": (5, "28.weight"),
    "resnet8_small": (4, "5.body.0.weight"),
    "resnet20_small": (10, "11.body.0.weight"),
    "torchvision:alexnet": (3, "features.6.weight"),
    "resnet18": (5, "layer4.0.conv1.weight"),
    "efficientnet_b0": (8, "blocks.6.0.conv_pw.weight"),
    "densenet121": (5, "features.denseblock4.denselayer1.norm1.weight"),
    "mobilenetv3_small_050": (7, "blocks.5.0.conv.weight"),
}


@functools.cache
def built(backbone: str, head_width: int | None = None) -> Network:
    return build_network(TrainConfig(backbone=backbone, head_width=head_width, dropout=0.1), SHAPE, 3)


def parts(backbone: str, head_width: int | None = None) -> Parts:
    return parts_of(built(backbone, head_width).get_submodule("backbone"))


@pytest.mark.parametrize("backbone", BLOCKS)
def test_blocks_are_the_stages_of_a_network(backbone: str) -> None:
    count, last = BLOCKS[backbone]
    found = parts(backbone)
    assert len(found.blocks) == count
    assert found.blocks[-1][0] == last


@pytest.mark.parametrize("head_width", [None, 8])
@pytest.mark.parametrize("backbone", sorted({*MODELS, *BLOCKS} - {"torchvision:alexnet"}))
def test_blocks_and_head_are_all_there_is_and_share_nothing(backbone: str, head_width: int | None) -> None:
    found = parts(backbone, head_width)
    names = [name for block in found.blocks for name in block] + list(found.head)
    assert sorted(names) == sorted(built(backbone, head_width).get_submodule("backbone").state_dict())
    assert all(found.blocks)
    assert found.head
    frozen = [found.frozen(count) for count in range(len(found.blocks) + 1)]
    assert frozen[0] == set(names) - set(found.head)
    assert all(more > less for more, less in itertools.pairwise(frozen))
    assert frozen[-1] == found.frozen(None) == frozenset()


def test_dense_layers_of_ours_and_of_alexnet_are_their_head() -> None:
    assert {name.partition(".")[0] for name in parts("lenet5").head} == {"7", "10", "13"}
    assert all(name.startswith("classifier.") for name in parts("torchvision:alexnet").head)
    assert parts("resnet18").head == ("fc.weight", "fc.bias")


def test_more_blocks_than_there_are_is_an_error_that_says_how_many() -> None:
    with pytest.raises(ConfigError, match=r"^trainable_blocks: 6, but the backbone has 5$"):
        parts("resnet18").frozen(6)


@pytest.mark.parametrize("backbone", ["lenet5", "resnet8_small", "cnn4_128", "mobilenetv3_small_050"])
def test_a_wider_head_stands_before_the_last_layer_of_any_backbone(backbone: str) -> None:
    plain, wide = built(backbone), built(backbone, 8)
    assert wide.eval()(torch.rand(2, 1, 64, 64)).shape == (2, 3)
    inputs = next(m for m in reversed(list(plain.modules())) if isinstance(m, nn.Linear)).in_features
    extra = (inputs * 8 + 8 + 8 * 3 + 3) - (inputs * 3 + 3)
    assert wide.parameter_count() == plain.parameter_count() + extra
    assert len(parts(backbone).blocks) == len(parts(backbone, 8).blocks)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("efficientnetb0", "efficientnet_b0"), ("EfficientNet-B0", "efficientnet_b0"), ("EfficientNetB0", "efficientnet_b0"),
        ("Xception", "legacy_xception"), ("xception", "legacy_xception"), ("VGG16", "vgg16"), ("VGG-16", "vgg16"),
        ("AlexNet", "torchvision:alexnet"), ("alexnet", "torchvision:alexnet"), ("DenseNet-121", "densenet121"),
        ("ResNet18", "resnet18"), ("resnet-50", "resnet50"), ("ResNet 101", "resnet101"), ("RESNET152", "resnet152"),
        ("torchvision:vgg16", "vgg16"), ("LeNet5", "lenet5"), ("cnn4-64", "cnn4_64"),
    ],
)  # fmt: skip
def test_a_backbone_written_as_people_do_is_refused_with_its_name(written: str, right: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_backbone(written)
    assert str(caught.value).startswith(f"unknown backbone '{written}' (did you mean '{right}'?); valid: lenet5, ")
    check_backbone(right)
