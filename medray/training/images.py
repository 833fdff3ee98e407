"""From uint8 images to a network's input."""

import torch
from torch import Tensor

from medray._types import Array
from medray.training.models import Network

EVALUATION_PIXELS = 256 * 28 * 28


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


def to_input(images: Array | Tensor, device: torch.device) -> Tensor:
    """Return uint8 images (n, H, W, C) as the networks' input: float (n, C, H, W) in [0, 1], channels last."""
    batch = images if isinstance(images, Tensor) else on_device(images, device)
    return batch.permute(0, 3, 1, 2).float() / 255
