import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from medray.config import TrainConfig
from medray.errors import ConfigError, WeightsError
from medray.training.models import MODELS, build_network, channel_statistics

ORGANS = ((28, 28, 1), 11)


@pytest.mark.parametrize(
    ("backbone", "parameters"), [("lenet5", 106_239), ("lenet5_wide", 1_662_939), ("lenet5_wide_bn", 1_664_555)]
)
def test_sizes_are_those_of_seed_report_001(backbone: str, parameters: int) -> None:
    assert build_network(TrainConfig(backbone=backbone), *ORGANS).parameter_count() == parameters


@pytest.mark.parametrize(
    ("backbone", "shape", "classes", "parameters"),
    [("cnn4_64", (256, 256, 1), 2, 914_434), ("cnn4_128", (150, 150, 3), 4, 3_454_660)],
)
def test_sizes_are_those_of_seed_reports_002_and_003(
    backbone: str, shape: tuple[int, int, int], classes: int, parameters: int
) -> None:
    network = build_network(TrainConfig(backbone=backbone), shape, classes)
    assert network.parameter_count() == parameters
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Linear))
    assert first.in_features == {"cnn4_64": 14 * 14 * 64, "cnn4_128": 7 * 7 * 128}[backbone]


@pytest.mark.parametrize(
    ("backbone", "least"),
    [
        ("lenet5", 4),
        ("cnn4_64", 46),
        ("cnn4_128", 46),
        ("cnn5", 32),
        ("cnn10_bn", 32),
        ("torchvision:alexnet", 63),
    ],
)
def test_the_least_size_is_told_and_taken(backbone: str, least: int) -> None:
    config = TrainConfig(backbone=backbone)
    with pytest.raises(
        ConfigError, match=rf"images of {least - 1}×99 are too small .*; {least}×{least} is least$"
    ):
        build_network(config, (least - 1, 99, 1), 2)
    assert build_network(config, (least, least, 1), 2).eval()(torch.rand(1, 1, least, least)).shape == (1, 2)


@settings(max_examples=15, deadline=None)
@given(
    backbone=st.sampled_from(["lenet5_wide_bn", "cnn4_64", "cnn4_128", "cnn5", "cnn10_bn"]),
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    channels=st.sampled_from([1, 3]),
)
def test_a_network_takes_an_image_or_refuses_it_when_it_is_built(
    backbone: str, height: int, width: int, channels: int
) -> None:
    least = {"lenet5_wide_bn": 4, "cnn4_64": 46, "cnn4_128": 46}.get(backbone, 32)
    config, shape = TrainConfig(backbone=backbone), (height, width, channels)
    if min(height, width) < least:
        with pytest.raises(ConfigError, match=f"images of {height}×{width} are too small"):
            build_network(config, shape, 3)
        return
    network = build_network(config, shape, 3)
    assert network.eval()(torch.rand(2, channels, height, width)).shape == (2, 3)


@pytest.mark.parametrize("backbone", [*MODELS, "resnet10t"])
@pytest.mark.parametrize("shape", [(46, 46, 1), (70, 57, 3)])
def test_every_backbone_takes_grey_and_colour_of_any_size(backbone: str, shape: tuple[int, int, int]) -> None:
    network = build_network(TrainConfig(backbone=backbone, dropout=0.2), shape, 5).eval()
    assert network(torch.rand(2, shape[2], *shape[:2])).shape == (2, 5)


def test_unknown_backbone_names_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown backbone 'resnet81' \(did you mean 'resnet18'\?\); valid: lenet5"
    ):
        build_network(TrainConfig(backbone="resnet81"), *ORGANS)


def test_images_too_small_for_a_network_are_refused() -> None:
    with pytest.raises(ConfigError, match="images of 3×3 are too small"):
        build_network(TrainConfig(backbone="lenet5"), (3, 3, 1), 2)


def test_normalisation_is_that_of_the_training_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 9, 9, 3), dtype=np.uint8)
    positions = np.arange(100, 300)
    mean, std = channel_statistics(images, positions)
    chosen = images[positions] / 255.0
    assert np.allclose(mean.numpy(), chosen.mean(axis=(0, 1, 2)), atol=1e-6)
    assert np.allclose(std.numpy(), chosen.std(axis=(0, 1, 2)), atol=1e-6)


def test_own_networks_have_no_pretrained_weights() -> None:
    with pytest.raises(WeightsError, match="no published weights of lenet5"):
        build_network(TrainConfig(backbone="lenet5", pretrained=True), *ORGANS)


@pytest.mark.component
def test_pretrained_without_its_hub_is_an_error_and_never_from_scratch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = (
        "from medray.config import TrainConfig\nfrom medray.errors import WeightsError\n"
        "from medray.training.models import build_network\n"
        "try: build_network(TrainConfig(backbone='resnet18', pretrained=True), (28, 28, 1), 2)\n"
        "except WeightsError as error: print(error)"
    )
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "weights of resnet18 are not available" in done.stdout
    assert f"{tmp_path / 'resnet18.safetensors'} does not exist, and timm's hub" in done.stdout
    assert "nothing was trained from scratch instead" in done.stdout
    assert "`pretrained: false`" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_local_weights_start_a_backbone_and_its_head_may_differ(tmp_path: Path) -> None:
    donor = build_network(TrainConfig(backbone="lenet5"), (28, 28, 1), 4)
    path = tmp_path / "donor.safetensors"
    save_file(donor.state_dict(), path)
    config = TrainConfig(backbone="lenet5", weights=str(path))
    same = build_network(config, (28, 28, 1), 4)
    other = build_network(config, (28, 28, 1), 9)
    for name, tensor in donor.backbone.state_dict().items():
        assert torch.equal(same.backbone.state_dict()[name], tensor)
    first = "0.weight"
    assert torch.equal(other.backbone.state_dict()[first], donor.backbone.state_dict()[first])


def test_weights_of_another_network_or_no_weights_are_refused(tmp_path: Path) -> None:
    donor = build_network(TrainConfig(backbone="lenet5_wide"), (28, 28, 1), 4)
    path = tmp_path / "donor.safetensors"
    save_file(donor.state_dict(), path)
    with pytest.raises(
        WeightsError, match=r"is of another network: it holds 0.weight of shape \(24, 1, 5, 5\), not \(6"
    ):
        build_network(TrainConfig(backbone="lenet5", weights=str(path)), (28, 28, 1), 4)
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(WeightsError, match="no safetensors file"):
        build_network(TrainConfig(backbone="lenet5", weights=str(path)), (28, 28, 1), 4)
    with pytest.raises(WeightsError, match="no such file"):
        build_network(TrainConfig(backbone="lenet5", weights=str(tmp_path / "none")), (28, 28, 1), 4)
