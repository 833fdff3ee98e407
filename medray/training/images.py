"""From uint8 images to a network's input."""

import torch
from torch import Tensor

from medray._types import Array

EVALUATION_PIXELS = 256 * 28 * 28


def evaluation_batch(size: tuple[int, ...]) -> int:
    """Return the batch size for evaluation of images of `size` (height, width): fewer of larger ones."""
    height, width = size
    return max(16, EVALUATION_PIXELS // (height * width))


def to_input(images: Array, device: torch.device) -> Tensor:
    """Return uint8 images (n, H, W, C) as the networks' input: float (n, C, H, W) in [0, 1], channels last."""
    batch = torch.from_numpy(images)
    if device.type == "cuda":
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
