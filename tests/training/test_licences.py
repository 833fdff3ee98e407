"""Licences of published weights: whose are known, and which allow no commercial use."""

import pytest

from medray.config import TrainConfig
from medray.training.models.licences import NOT_KNOWN, NOT_STATED, forbids_commerce, weights_licence


@pytest.mark.parametrize(
    ("backbone", "licence", "forbidden"),
    [
        ("resnet18", "apache-2.0", False),
        ("convnextv2_atto", "cc-by-nc-4.0", True),
        ("vit_small_patch16_dinov3", "dinov3-license", False),
        ("fastvit_mci0", "apple-amlr", True),
        ("vit_tiny_patch16_dinov3_qkvb", "fair-noncommercial-research-license", True),
        ("dla60_res2net", NOT_STATED, False),
    ],
)
def test_it_is_the_one_that_timm_states(backbone: str, licence: str, forbidden: bool) -> None:
    assert weights_licence(TrainConfig(backbone=backbone, pretrained=True)) == licence
    assert forbids_commerce(licence) == forbidden


def test_of_other_weights_it_is_not_said_to_be_none() -> None:
    assert weights_licence(TrainConfig(backbone="convnextv2_atto")) is None
    assert weights_licence(TrainConfig(backbone="convnextv2_atto", weights="mine.safetensors")) == NOT_KNOWN
    for backbone in ("lenet5", "torchvision:alexnet"):  # from a folder of files
        assert weights_licence(TrainConfig(backbone=backbone, pretrained=True)) == NOT_STATED
