"""Licences of published weights: whose are known, and which allow no commercial use."""

import pytest

from medray.config import TrainConfig
from medray.training.models.licences import NOT_STATED, forbids_commerce, weights_licence


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


def test_nothing_is_said_of_weights_that_are_not_published() -> None:
    for config in (
        TrainConfig(backbone="convnextv2_atto"),
        TrainConfig(backbone="convnextv2_atto", weights="mine.safetensors"),
        TrainConfig(backbone="lenet5", pretrained=True),
    ):
        assert weights_licence(config) is None
