"""The trainer that the rivals share: plain PyTorch, as a competent user would write it for small sets."""

import copy
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

EPOCHS, GRACE = 30, 3  # of a training; before which none is stopped
PUBLISHED_SIDE = 96  # pixels, at least, of what a pre-trained network is given
MANY_PIXELS = 64  # of a side, beyond which a network from scratch halves its images at once
BATCHES = (16, 32, 64, 128)
PIPELINES = ("none", "flips", "flips_turns")


@dataclass(frozen=True)
class Arrays:
    """Images uint8 (N, C, H, W) and labels (N,) of each split."""

    images: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]
    classes: int

    @classmethod
    def load(cls, path: Path) -> "Arrays":
        """Return the arrays of a file of MedMNIST's form."""
        images, labels = {}, {}
        with np.load(path) as file:
            for split in ("train", "val", "test"):
                array = file[f"{split}_images"]
                array = array[..., None] if array.ndim == 3 else array
                images[split] = torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
                labels[split] = torch.from_numpy(file[f"{split}_labels"].astype(np.int64).reshape(-1))
            classes = len(file["class_names"])
        return cls(images, labels, classes)

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return int(self.images["train"].shape[1])

    @property
    def side(self) -> int:
        """Pixels of an image's longest side."""
        return max(self.images["train"].shape[2:])


def network_names(weights: Path | None) -> list[str]:
    """Return the networks to search: two from scratch, and those of which the folder has weights."""
    files = sorted(weights.glob("*.safetensors")) if weights else []
    return ["cnn", "resnet", *(file.stem for file in files)]


class Residual(nn.Module):
    """Two convolutions of 3×3 with batch normalisation, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        same = inputs == outputs and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.body(images) + self.shortcut(images))


def build_network(name: str, arrays: Arrays, dropout: float, weights: Path | None) -> nn.Module:
    """Return a network: a small CNN, a small ResNet, or a pre-trained one of timm."""
    if name not in network_names(None):
        import timm

        assert weights is not None
        return timm.create_model(  # type: ignore[no-any-return]
            name, pretrained=True, pretrained_cfg_overlay={"file": str(weights / f"{name}.safetensors")},
            in_chans=arrays.channels, num_classes=arrays.classes, drop_rate=dropout,
        )  # fmt: skip
    layers: list[nn.Module] = []
    width = 32
    stem = nn.Conv2d(arrays.channels, width, 3, 1, 1, bias=False)
    if arrays.side > MANY_PIXELS:
        stem = nn.Conv2d(arrays.channels, width, 7, 2, 3, bias=False)
    layers += [stem, nn.BatchNorm2d(width), nn.ReLU()]
    layers += [nn.MaxPool2d(2)] if arrays.side > MANY_PIXELS else []
    for outputs in (32, 64, 128):
        if name == "resnet":
            layers.append(Residual(width, outputs, 1 if outputs == 32 else 2))
        else:
            layers += [nn.Conv2d(width, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        width = outputs
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, arrays.classes)]
    return nn.Sequential(*layers, *head)


def as_input(images: Tensor, name: str) -> Tensor:
    """Return uint8 images (n, C, H, W) as floats from -1 to 1, enlarged where a pre-trained network takes them."""
    inputs = images.float() / 127.5 - 1
    side = max(images.shape[2:])
    if name in network_names(None) or side >= PUBLISHED_SIDE:
        return inputs
    return nn.functional.interpolate(inputs, scale_factor=PUBLISHED_SIDE / side, mode="bilinear")


def augment(images: Tensor, pipeline: str, generator: torch.Generator, *, turns: bool) -> Tensor:
    """Return images mirrored, and with `flips_turns` also turned, shifted and resized a little, each by itself.

    With `turns` they are mirrored both ways and turned by any angle.
    """
    if pipeline == "none":
        return images
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    def signs() -> Tensor:
        return torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1.0

    mirror, upside_down = signs(), signs() if turns else torch.ones(count)
    angle, scale, shift = torch.zeros(count), torch.ones(count), torch.zeros(2, count)
    if pipeline == "flips_turns":
        most = 180.0 if turns else 15.0
        angle, scale = uniform(-most, most) * math.pi / 180, uniform(0.9, 1.1)
        shift = torch.stack([uniform(-0.1, 0.1), uniform(-0.1, 0.1)])
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = [[cos * mirror, -sin * upside_down, shift[0]], [sin * mirror, cos * upside_down, shift[1]]]
    matrix = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = nn.functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


@torch.inference_mode()
def predict(network: nn.Module, name: str, images: Tensor) -> np.ndarray[Any, Any]:
    """Return the probabilities (n, classes) of uint8 images."""
    network.eval()
    size = 256 if max(images.shape[2:]) <= MANY_PIXELS else 32
    parts = [network(as_input(part, name)).softmax(1) for part in images.split(size)]
    return torch.cat(parts).numpy()


def auc_of(probabilities: np.ndarray[Any, Any], labels: Tensor) -> float:
    """Return the AUC; with several classes the mean of each against the rest."""
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] == 2:
        return float(roc_auc_score(labels.numpy(), probabilities[:, 1]))
    return float(roc_auc_score(labels.numpy(), probabilities, multi_class="ovr", average="macro"))


def accuracy_of(probabilities: np.ndarray[Any, Any], labels: Tensor) -> float:
    """Return the share of images whose likeliest class is right."""
    return float((probabilities.argmax(1) == labels.numpy()).mean())


def classifier_scores(classifier: Any, features: Any, labels: Any) -> tuple[float, float, Any]:
    """Return AUC and accuracy of a classifier of scikit-learn, and the decision values (n, classes) of the AUC."""
    from sklearn.metrics import roc_auc_score

    values, labels = classifier.decision_function(features), np.asarray(labels)
    columns = np.stack([-values, values], 1) if values.ndim == 1 else values
    aucs = [roc_auc_score(labels == label, columns[:, label]) for label in range(columns.shape[1])]
    return float(np.mean(aucs)), float((classifier.predict(features) == labels).mean()), columns


def train(
    settings: Mapping[str, Any], arrays: Arrays, weights: Path | None, *, seed: int, turns: bool, deadline: float
) -> Iterator[tuple[int, float, nn.Module]]:
    """Train by AdamW with a cosine schedule; yield after each epoch its number, validation AUC and the network.

    Ends after `EPOCHS`, when the loss is no number, or at the `deadline`, within an epoch.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    name, size = settings["network"], settings["batch_size"]
    images, labels = arrays.images["train"], arrays.labels["train"]
    network = build_network(name, arrays, settings["dropout"], weights)
    rate, decay = settings["learning_rate"], settings["weight_decay"]
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
    steps = max(1, len(images) // size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    for epoch in range(1, EPOCHS + 1):
        network.train()
        order = torch.randperm(len(images), generator=generator)
        for step in range(steps):
            if time.time() > deadline:
                return
            batch = order[step * size : (step + 1) * size]
            inputs = augment(as_input(images[batch], name), settings["pipeline"], generator, turns=turns)
            loss = nn.functional.cross_entropy(network(inputs), labels[batch])
            if not loss.isfinite():
                return
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        yield epoch, auc_of(predict(network, name, arrays.images["val"]), arrays.labels["val"]), network


def copied_state(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the network's weights."""
    return copy.deepcopy(network.state_dict())
