"""Backbones: MODELS, small published networks for small images, and any timm name.

A network takes uint8 images scaled to [0, 1], float (N, C, H, W), and answers with logits (N, classes). Its
first layer normalises by the mean and deviation of its own training images, kept as buffers: weights can't
be separated from their preprocessing.
"""

import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from medray.config import TrainConfig
from medray.data.dataset import Array
from medray.errors import ConfigError, MedrayError, WeightsError, nearest

Shape = tuple[int, int, int]  # height, width, channels


def _flat(height: int, width: int, channels: int) -> int:
    """Features left of an image after two 2×2 poolings."""
    if height < 4 or width < 4:
        raise ConfigError(f"backbone: images of {height}×{width} are too small for two poolings; 4×4 is least")
    return (height // 4) * (width // 4) * channels


def lenet5(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """LeCun et al. 1998 in the form of seed report 001, `base`: 3×3 kernels, 106,239 parameters for organs."""
    height, width, channels = shape
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(_flat(height, width, 16), 120),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(84, classes),
    )


def lenet5_wide(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Report 001's `big`: four times the channels, 5×5 kernels; 1,662,939 parameters for organs."""
    return _wide(shape, classes, dropout, normalised=False)


def lenet5_wide_bn(shape: Shape, classes: int, dropout: float) -> nn.Module:
    """Report 001's `batch_norm`: 1,664,555 parameters for organs.

    The report says that the layers before a normalisation lost their bias; its count says that they kept it.
    """
    return _wide(shape, classes, dropout, normalised=True)


def _wide(shape: Shape, classes: int, dropout: float, *, normalised: bool) -> nn.Module:
    height, width, channels = shape

    def norm2d(features: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(features)] if normalised else []

    def norm1d(features: int) -> list[nn.Module]:
        return [nn.BatchNorm1d(features)] if normalised else []

    return nn.Sequential(
        nn.Conv2d(channels, 24, 5, padding=2),
        *norm2d(24),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 64, 5, padding=2),
        *norm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(_flat(height, width, 64), 480),
        *norm1d(480),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(480, 240),
        *norm1d(240),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(240, classes),
    )


class _Residual(nn.Module):
    """Two 3×3 convolutions beside an identity (He et al. 2015, option B where the shape changes)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.skip: nn.Module = nn.Identity()
        if before != after or stride != 1:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


def _resnet_small(blocks: int) -> "Builder":
    def build(shape: Shape, classes: int, dropout: float) -> nn.Module:
        layers: list[nn.Module] = [
            nn.Conv2d(shape[2], 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        ]
        for before, after in ((16, 16), (16, 32), (32, 64)):
            layers.append(_Residual(before, after, 1 if before == after else 2))
            layers.extend(_Residual(after, after, 1) for _ in range(blocks - 1))
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, classes)]
        return nn.Sequential(*layers, *head)

    build.__doc__ = f"ResNet-{6 * blocks + 2} for small images (He et al. 2015, section 4.2)."
    return build


Builder = Callable[[Shape, int, float], nn.Module]
#: Our own networks: name -> builder(shape, classes, dropout). All else is asked of timm.
MODELS: dict[str, Builder] = {
    "lenet5": lenet5,
    "lenet5_wide": lenet5_wide,
    "lenet5_wide_bn": lenet5_wide_bn,
    "resnet8_small": _resnet_small(1),
    "resnet20_small": _resnet_small(3),
}


class Normalise(nn.Module):
    """Subtracts the training images' mean and divides by their deviation, channel by channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, C, H, W)."""
        return (x - self.mean) / self.std


class Network(nn.Sequential):
    """Normalisation and backbone."""

    def __init__(self, normalise: Normalise, backbone: nn.Module) -> None:
        super().__init__()
        self.add_module("normalise", normalise)
        self.add_module("backbone", backbone)

    def parameter_count(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def channel_statistics(images: Array, positions: Array, most: int = 2048) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, in [0, 1], of at most `most` evenly spaced images."""
    step = max(1, -(-len(positions) // most))
    chosen = images[positions[::step]].reshape(-1, images.shape[3])
    counts = torch.stack([torch.bincount(torch.from_numpy(c), minlength=256) for c in chosen.T.copy()])
    levels = torch.arange(256, dtype=torch.float64) / 255
    shares = counts / counts.sum(dim=1, keepdim=True)
    mean = (shares * levels).sum(dim=1)
    variance = (shares * (levels - mean[:, None]) ** 2).sum(dim=1)
    return mean.float(), variance.sqrt().clamp_min(1e-3).float()


def build_network(config: TrainConfig, shape: Shape, classes: int) -> Network:
    """Build the network of `config` for images of `shape` (H, W, C), with its starting weights.

    Raises:
        ConfigError: the backbone is unknown or does not take such images.
        WeightsError: pre-trained weights can't be had, or a weights file does not fit.
    """
    channels = shape[2]
    normalise = Normalise(torch.zeros(channels), torch.ones(channels))
    if config.backbone in MODELS:
        if config.pretrained:
            raise WeightsError(f"pretrained: there are no published weights of {config.backbone}")
        backbone = MODELS[config.backbone](shape, classes, config.dropout)
    else:
        backbone = _timm_model(config, channels, classes)
    if config.weights is not None:
        load_backbone(backbone, Path(config.weights))
    return Network(normalise, backbone)


def _timm_model(config: TrainConfig, channels: int, classes: int) -> nn.Module:
    timm = import_timm()
    check_backbone(config.backbone)
    if config.pretrained:
        _skip_hub_retries()
    try:
        model: nn.Module = timm.create_model(
            config.backbone,
            pretrained=config.pretrained,
            in_chans=channels,
            num_classes=classes,
            drop_rate=config.dropout,
        )
    except Exception as error:  # a hub, a file system or a network: each has exceptions of its own
        if not config.pretrained:
            raise ConfigError(f"backbone: {config.backbone} can't be built: {one_line(error)}") from error
        raise WeightsError(
            f"pretrained: the weights of {config.backbone} can't be had from timm's hub "
            f"({type(error).__name__}); give a local file in `weights`, or `pretrained: false`"
        ) from error
    return model


def _skip_hub_retries() -> None:
    """Where the hub's host has no answer, look only into its cache: its client would retry for a minute."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT)
    if getproxies():
        return
    try:
        socket.create_connection((host.hostname or "", host.port or 443), timeout=3).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True


def import_timm() -> Any:
    """Import timm, and torchvision with it.

    Raises:
        MedrayError: torch and torchvision are of different builds.
    """
    try:
        import timm
    except (RuntimeError, ImportError, OSError) as error:
        from importlib.metadata import version

        raise MedrayError(
            f"torch {version('torch')} and torchvision {version('torchvision')} do not work together "
            f"({one_line(error)}): install both from the same index, e.g. "
            "`uv pip install --reinstall torch torchvision`"
        ) from None
    return timm


def check_backbone(name: str) -> None:
    """Check that a backbone exists.

    Raises:
        ConfigError: it does not; the line names the nearest.
    """
    if name in MODELS:
        return
    timm = import_timm()
    if not timm.is_model(name):
        names = timm.list_models()
        hint = nearest(name, [*MODELS, *names])
        own = ", ".join(MODELS)
        raise ConfigError(f"unknown backbone '{name}'{hint}; valid: {own}, or one of timm's {len(names):,} models")


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Load a safetensors file into a backbone; a head of another number of classes stays fresh.

    Raises:
        WeightsError: the file is missing or damaged, or holds another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(f"weights: no such file: {path}")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"weights: {path} is no safetensors file: {one_line(error)}") from None
    # Ours carry the normalisation too, which belongs to other images.
    if any(name.startswith("backbone.") for name in tensors):
        tensors = {n.removeprefix("backbone."): t for n, t in tensors.items() if n.startswith("backbone.")}
    _load_all_but_head(backbone, tensors, path)


def _load_all_but_head(backbone: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    own = backbone.state_dict()
    head = {name.rpartition(".")[0] for name in list(own)[-2:]}
    kept = {n: t for n, t in tensors.items() if n in own and own[n].shape == t.shape}
    missing = [n for n in own if n not in kept and n.rpartition(".")[0] not in head]
    surplus = [n for n in tensors if n not in own]
    if missing or surplus:
        what = f"lacks {missing[0]} of shape {tuple(own[missing[0]].shape)}" if missing else f"holds {surplus[0]}"
        raise WeightsError(f"weights: {path} is of another network: it {what}")
    backbone.load_state_dict(kept, strict=False)


def one_line(error: BaseException, most: int = 200) -> str:
    """An error's message on one line."""
    return re.sub(r"\s+", " ", str(error)).strip()[:most] or type(error).__name__
