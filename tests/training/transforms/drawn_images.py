"""Images that show what was done to them, and the results of many draws: medray's and albumentations'."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from medray._types import Array
from medray.training.augment import Augmenter, build_transform
from medray.training.transforms.batch import Batch
from medray.training.transforms.device import DevicePixels
from medray.training.transforms.host import HostPixels, opencv
from medray.training.transforms.pipeline import Draws, build_pipeline

SIDE = 40
Pipeline = list[dict[str, dict[str, Any]]]
Draw = Callable[[Pipeline, Array, int], Array]


def ramps() -> Array:
    """Return an image (40, 40, 3) that shows where a pixel comes from: by column, by row, and from inside."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.stack([20 + 5 * x, 20 + 5 * y, np.full_like(x, 255)], axis=-1).astype(np.uint8)


def texture(channels: int = 3, side: int = SIDE) -> Array:
    """Return an image (side, side, channels) of smooth blots of all colours, some of them black or white."""
    noise = np.random.default_rng(3).normal(size=(side, side, channels))
    image: Array = opencv().GaussianBlur(noise, (0, 0), 2.0).reshape(noise.shape)
    return (110 + 90 * image / image.std()).clip(0, 255).astype(np.uint8)


def copies(image: Array, count: int) -> Array:
    return np.repeat(image[None], count, axis=0)


def by_host(pipeline: Pipeline, images: Array, seed: int = 0) -> Array:
    """Return the images as OpenCV transforms them."""
    return Augmenter(pipeline)(images.copy(), seed)


def by_device(pipeline: Pipeline, images: Array, seed: int = 0) -> Array:
    """Return the images as PyTorch transforms them, on whatever device."""
    tensor = torch.from_numpy(images.copy())
    batch = Batch(DevicePixels(tensor))
    build_pipeline(pipeline).apply(Draws(seed, batch), np.ones(len(images), dtype=np.bool_), ())
    batch.settle(np.arange(len(images)))
    return tensor.numpy()


def by_albumentations(pipeline: Pipeline, images: Array, seed: int = 0) -> Array:
    """Return the images as albumentations transforms them; its set_random_seed lets all transforms draw the same."""
    import albumentations

    compose = albumentations.Compose([build_transform(step) for step in pipeline])
    compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
    return np.stack([compose(image=image)["image"].reshape(image.shape) for image in images])


engines = pytest.mark.parametrize("drawn", [by_host, by_device])


def host_batch(images: Array) -> Batch:
    return Batch(HostPixels(images))


def check_alike(ours: Array, theirs: Array, names: Sequence[str]) -> None:
    """Check that each column of two tables (n, statistics) has one distribution (Kolmogorov & Smirnov).

    A third of a level is let pass as rounding. With a thousand comparisons in all, one in a hundred sets of seeds fails.
    """
    for name, mine, other in zip(names, ours.T.astype(float), theirs.T, strict=True):
        tests = (ks_2samp(mine + shift, other, method="asymp") for shift in (0, -0.33, 0.33))
        assert any(test.pvalue > 1e-5 for test in tests), f"{name}: means {mine.mean():.2f} and {other.mean():.2f}"
