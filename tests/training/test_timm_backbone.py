"""timm's models at sizes that they were not published for, and their weights from a local file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from medray.config import TrainConfig
from medray.errors import ConfigError, WeightsError
from medray.training.models import build_network, check_timm_size

VIT = "vit_tiny_patch16_224"


@pytest.mark.parametrize(
    ("backbone", "image_size"),
    [
        (VIT, 96),
        ("vit_small_patch14_dinov2", 98),
        ("vit_small_patch16_dinov3", 64),
        ("swin_tiny_patch4_window7_224", 96),
    ],
)
def test_transformers_are_built_for_the_size_that_they_see(backbone: str, image_size: int) -> None:
    check_timm_size(backbone, (28, 28, 1), image_size)
    network = build_network(TrainConfig(backbone=backbone, image_size=image_size), (28, 28, 1), 3).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 1, 28, 28)).shape == (1, 3)


def line(backbone: str, shape: tuple[int, int, int], image_size: int | None) -> str:
    with pytest.raises(ConfigError) as caught:
        check_timm_size(backbone, shape, image_size)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_nearest_sizes_are_those_that_a_model_takes() -> None:
    for backbone, shape, asked, nearest in (
        ("vit_small_patch14_dinov2", (28, 28, 1), 96, "84 and 98"),
        (VIT, (120, 160, 3), 100, "64 and 128"),  # both sides are multiples
        (VIT, (28, 28, 1), None, "16 and 32"),
        ("convnext_atto", (28, 28, 3), None, "32"),
        ("efficientformer_l1", (64, 64, 1), None, "224"),
    ):
        assert line(backbone, shape, asked).endswith(f"; the nearest `image_size` that it takes: {nearest}")
    assert line(VIT, (1000, 1, 1), 96).endswith("nor of any `image_size` near it")


@pytest.mark.parametrize("backbone", ["resnet10t", "pvt_v2_b0", "mobilevit_xxs"])
@pytest.mark.parametrize("image_size", [64, 98])
def test_convolutions_and_overlapping_patches_take_any_size(backbone: str, image_size: int) -> None:
    check_timm_size(backbone, (28, 28, 1), image_size)


def test_a_size_that_would_lose_the_border_is_refused_also_without_a_search() -> None:
    with pytest.raises(ConfigError, match=r"image_size: vit_tiny_patch16_224 does not take images of 98×98: that"):
        build_network(TrainConfig(backbone=VIT), (98, 98, 1), 3)


def test_a_local_file_is_fitted_to_another_size_as_timm_fits_the_hubs(tmp_path: Path) -> None:
    import timm

    path = tmp_path / f"{VIT}.safetensors"
    save_file(timm.create_model(VIT, num_classes=7).state_dict(), path)
    config = TrainConfig(backbone=VIT, weights=str(path), image_size=96)
    loaded = build_network(config, (28, 28, 1), 3).get_submodule("backbone").state_dict()
    overlay = {"file": str(path), "num_classes": 7, "hf_hub_id": None, "custom_load": False}
    timms = timm.create_model(
        VIT, pretrained=True, pretrained_cfg_overlay=overlay, in_chans=1, num_classes=3, img_size=96
    ).state_dict()
    assert loaded.keys() == timms.keys()
    assert loaded["pos_embed"].shape == (1, 37, 192)
    assert all(torch.equal(loaded[name], timms[name]) for name in loaded if not name.startswith("head."))
    own = tmp_path / "own.safetensors"  # one of medray's, trained at 96, goes on at 64
    save_file({f"backbone.{name}": tensor for name, tensor in loaded.items()}, own)
    again = build_network(TrainConfig(backbone=VIT, weights=str(own), image_size=64), (28, 28, 1), 3)
    assert torch.equal(again.get_submodule("backbone").state_dict()["head.weight"], loaded["head.weight"])


def test_patches_of_another_size_and_another_network_are_still_refused(tmp_path: Path) -> None:
    import timm

    path = tmp_path / "w.safetensors"
    save_file(timm.create_model(VIT, num_classes=7).state_dict(), path)
    for backbone, size in (
        ("eva02_tiny_patch14_224", 98),
        ("swin_tiny_patch4_window7_224", 96),
        ("resnet10t", 96),
    ):
        with pytest.raises(WeightsError, match="is of another network"):
            build_network(TrainConfig(backbone=backbone, weights=str(path), image_size=size), (28, 28, 3), 3)
    tensors = load_file(path)
    tensors["patch_embed.proj.weight"] = torch.zeros(192, 3, 14, 14)
    save_file(tensors, path)
    with pytest.raises(
        WeightsError, match=r"patch_embed.proj.weight of shape \(192, 3, 14, 14\), not \(192, 3, 16"
    ):
        build_network(TrainConfig(backbone=VIT, weights=str(path), image_size=96), (28, 28, 3), 3)
