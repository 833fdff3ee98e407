"""From uint8 images to a network's input."""

import numpy as np
import torch
from torch import Tensor

from medray._types import Array
from medray.data.dataset import LabelledImages
from medray.training.models import Network

EVALUATION_PIXELS = 256 * 28 * 28
LARGEST_SHARE = 0.5  # of a GPU's free memory, of one slice's images
COPIED = 1024  # images at once


def evaluation_batch(
    network: Network, shape: tuple[int, ...], pixels: int = EVALUATION_PIXELS, least: int = 16
) -> int:
    """Return the batch size for evaluation: fewer of larger images, for the same memory.

    `shape` (H, W, ..) is the images'; where the network sees them at a larger size, that one counts.
    """
    height, width = network.input_size((shape[0], shape[1]))
    return max(least, pixels // max(height * width, shape[0] * shape[1]))


def on_device(images: Array, device: torch.device) -> Tensor:
    """Return images as they are on a device; on the processor they share the array's memory."""
    batch = torch.from_numpy(images)
    if device.type == "cuda":
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True)


class ResidentImages:
    """Slices of uint8 images that are copied to a GPU once, where they take at most half of its free memory."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._kept: dict[int, Tensor | None] = {}  # by the slice's id; a training holds its slices

    def take(self, images: LabelledImages, indices: Array) -> Tensor:
        """Return copies of the images (n, H, W, C) at `indices` of a slice, on the device."""
        if self.device.type == "cpu":
            return torch.from_numpy(images.take(indices)[0])
        if id(images) not in self._kept:
            self._kept[id(images)] = self._copied(images)
        kept = self._kept[id(images)]
        if kept is None:
            return on_device(images.take(indices)[0], self.device)
        return kept[torch.from_numpy(indices).to(self.device, non_blocking=True)]

    def _copied(self, images: LabelledImages) -> Tensor | None:
        """Return all images of a slice on the device, None where they are too many."""
        needed = len(images) * int(np.prod(images.shape))
        if self.device.type == "cuda" and needed > torch.cuda.mem_get_info(self.device)[0] * LARGEST_SHARE:
            return None
        copied = torch.empty((len(images), *images.shape), dtype=torch.uint8, device=self.device)
        for start in range(0, len(images), COPIED):
            indices = np.arange(start, min(start + COPIED, len(images)))
            copied[start : start + COPIED] = torch.from_numpy(images.take(indices)[0])
        return copied


def to_input(images: Array | Tensor, device: torch.device) -> Tensor:
    """Return uint8 images (n, H, W, C) as the networks' input: float (n, C, H, W) in [0, 1], channels last."""
    batch = images if isinstance(images, Tensor) else on_device(images, device)
    return batch.permute(0, 3, 1, 2).float() / 255
