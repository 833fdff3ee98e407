"""Augmentation: a pipeline of albumentations' transforms, as a search space writes it, for batches of images.

Images stay uint8 and keep their shape, so that training, validation and serving see images of one kind.
"""

from collections.abc import Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

from medray._types import Array
from medray.training.transforms.batch import Batch, Pixels
from medray.training.transforms.by_albumentations import Step, build_transform, check_pipeline
from medray.training.transforms.device import DevicePixels
from medray.training.transforms.host import HostPixels, opencv
from medray.training.transforms.pipeline import Draws, build_pipeline, without_batched_form

__all__ = ["Augmenter", "Step", "build_transform", "check_pipeline", "without_batched_form"]


class Augmenter:
    """A pipeline of random transforms; the same seed and images give the same result."""

    def __init__(self, pipeline: Sequence[Step]) -> None:
        """Build it from `{class: arguments}` steps.

        Raises:
            ConfigError: a class or an argument is unknown, or a value is not allowed.
            MedrayError: a step has no batched form, and albumentations can't be imported.
        """
        self._steps = build_pipeline(pipeline)

    @overload
    def __call__(self, images: Array, seed: int) -> Array: ...
    @overload
    def __call__(self, images: Tensor, seed: int) -> Tensor: ...
    def __call__(self, images: Array | Tensor, seed: int) -> Array | Tensor:
        """Transform uint8 images (n, H, W, C) in place, each by its own draw, and return them.

        A tensor's are transformed on its device; an array's, or a tensor's in the processor's memory, by OpenCV, and by
        PyTorch where that can't be imported.
        """
        if self._steps.steps and len(images):
            batch = Batch(_pixels(images))
            everyone = np.ones(batch.count, dtype=np.bool_)
            self._steps.apply(Draws(seed, batch), everyone, ())
            batch.settle(np.arange(batch.count))
        return images


def _pixels(images: Array | Tensor) -> Pixels:
    """Return the images in the memory where they lie."""
    if isinstance(images, Tensor):
        if images.device.type != "cpu" or opencv() is None or not images.is_contiguous():
            return DevicePixels(images)
        return HostPixels(images.numpy())
    if opencv() is None or not images.flags.c_contiguous:
        return DevicePixels(torch.from_numpy(images))
    return HostPixels(images)
