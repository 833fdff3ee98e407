"""Augmentation: a pipeline of albumentations' transforms, as a search space writes it, for batches of images.

Images stay uint8 and keep their shape, so that training, validation and serving see images of one kind.
"""

from collections.abc import Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

from medray._types import Array, Shape
from medray.errors import ConfigError, one_line
from medray.training.transforms.batch import Batch, Pixels
from medray.training.transforms.by_albumentations import Step, build_transform, is_installed
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
        #: Whether no step needs albumentations, which works in the processor's memory only.
        self.batched = not without_batched_form(pipeline)

    @overload
    def __call__(self, images: Array, seed: int, rows: Array | None = None) -> Array: ...
    @overload
    def __call__(self, images: Tensor, seed: int, rows: Array | None = None) -> Tensor: ...
    def __call__(self, images: Array | Tensor, seed: int, rows: Array | None = None) -> Array | Tensor:
        """Transform uint8 images (n, H, W, C) in place, each by its own draw, and return them.

        Where only some `rows` are needed they are as if all were transformed, and the others as may be.
        Those in the processor's memory, of an array or a tensor, are transformed by OpenCV; those on a device,
        or where OpenCV can't be imported, by PyTorch.
        """
        if self._steps.steps and len(images):
            batch = Batch(_pixels(images))
            everyone = np.ones(batch.count, dtype=np.bool_)
            needed = everyone if rows is None else np.isin(np.arange(batch.count), rows)
            self._steps.apply(Draws(seed, batch, needed), everyone, ())
            batch.settle(np.flatnonzero(needed))
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


def check_pipeline(pipeline: Sequence[Step], shape: Shape) -> None:
    """Check that a pipeline can be built, and that it keeps the type and shape (H, W, C) of images.

    albumentations checks the arguments; where it is not installed, only what has a batched form is accepted.

    Raises:
        ConfigError: it can't, or it does not; the key is the step, as `[0].Rotate`.
        MedrayError: a step needs albumentations, and it can't be imported.
    """
    images = np.random.default_rng(0).integers(0, 256, size=(16, *shape), dtype=np.uint8)
    for i, step in enumerate(pipeline):
        if is_installed() or without_batched_form([step]):
            _check_step(step, images[0], f"[{i}]")
        try:
            Augmenter([step])(images.copy(), 0)
        except ConfigError as error:
            raise error.within(key=f"[{i}]") from None


def _check_step(step: Step, image: Array, key: str) -> None:
    """Check a step by albumentations' transform itself, applied to an image (H, W, C)."""
    try:
        transform = build_transform(step)
    except ConfigError as error:
        raise error.within(key=key) from None
    if hasattr(transform, "p"):
        transform.p = 1.0
    (name,) = step
    key, before = f"{key}.{name}", "×".join(map(str, image.shape))
    try:
        result = transform(image=image)["image"]
    except Exception as error:
        raise ConfigError(f"fails on an image of {before}: {one_line(error)}", key=key) from None
    if result.dtype != np.uint8 or result.size != image.size or result.shape[:2] != image.shape[:2]:
        after = "×".join(map(str, result.shape))
        raise ConfigError(
            f"turns an image of uint8 {before} into {result.dtype} {after}; a pipeline must keep type and shape",
            key=key,
        )
