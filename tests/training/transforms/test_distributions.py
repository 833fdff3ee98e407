"""Draws have albumentations' distribution: of where pixels come from, and of their levels."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from medray._types import Array
from tests.training.transforms.drawn_images import (
    SIDE,
    Draw,
    by_albumentations,
    check_alike,
    copies,
    engines,
    ramps,
    texture,
)

DRAWS = 300
POINTS = ((20, 20), (8, 12), (30, 9), (33, 33))

GEOMETRY: list[dict[str, dict[str, Any]]] = [
    {"Rotate": {"limit": 40, "p": 0.8}},
    {"Affine": {"translate_percent": [-0.1, 0.15], "rotate": [-20, 10], "scale": [0.8, 1.1], "p": 0.7}},
    {"Affine": {"translate_px": {"x": [-3, 5], "y": 2}, "shear": {"x": [-11, 20]}, "scale": 1.1, "p": 1}},
    {"Affine": {"scale": [0.5, 1.2], "balanced_scale": True, "keep_ratio": True, "p": 1}},
    {"Affine": {"scale": [1.0, 1.3], "balanced_scale": True, "shear": [-5, 15], "fill": 128, "p": 1}},
    {"Perspective": {"scale": [0.05, 0.15], "p": 1}},
    {"Perspective": {"scale": 0.3, "border_mode": 1, "p": 0.5}},
    {"RandomResizedCrop": {"size": [SIDE, SIDE]}},
    {"RandomResizedCrop": {"size": [SIDE, SIDE], "scale": [0.9, 1.0], "ratio": [2.0, 2.5]}},
    {"ElasticTransform": {"alpha": 60, "sigma": 4, "p": 1}},
    {"ElasticTransform": {"alpha": 90, "sigma": 5, "same_dxdy": True, "approximate": True, "p": 0.6}},
    {"D4": {}},
    {"RandomRotate90": {}},
    {"HorizontalFlip": {}},
]
LEVELS: list[dict[str, dict[str, Any]]] = [
    {"RandomBrightnessContrast": {"brightness_limit": 0.3, "contrast_limit": [-0.1, 0.4], "p": 0.7}},
    {"RandomBrightnessContrast": {"brightness_by_max": False, "p": 1}},
    {"RandomGamma": {"gamma_limit": [50, 180], "p": 1}},
    {"RandomGamma": {}},
    {"ColorJitter": {"brightness": 0.3, "contrast": [0.6, 1.2], "saturation": [0.4, 1.9], "hue": 0.1, "p": 0.8}},
    {"ColorJitter": {"brightness": [1.5, 1.7], "contrast": [1.4, 1.8], "saturation": 0, "hue": 0, "p": 1}},
    {"ToGray": {"p": 0.3}},
    {"GaussNoise": {"std_range": [0.05, 0.3], "mean_range": [-0.1, 0.2], "p": 0.8}},
    {"GaussNoise": {"per_channel": False, "p": 1}},
    {"GaussianBlur": {}},
    {"GaussianBlur": {"sigma_limit": [0.3, 2], "blur_limit": [0, 5], "p": 1}},
    {"Blur": {"blur_limit": [3, 9], "p": 1}},
    {"CoarseDropout": {"num_holes_range": [1, 5], "hole_height_range": [0.1, 0.4], "fill": 200, "p": 0.8}},
    {"CoarseDropout": {"hole_height_range": [3, 12], "hole_width_range": [1, 20], "fill": "random", "p": 1}},
    {"CoarseDropout": {"hole_height_range": [0.5, 0.9], "hole_width_range": [0.5, 0.9], "fill": "random_uniform", "p": 1}},
    {"Erasing": {"p": 1}},
    {"Erasing": {"scale": [0.1, 0.9], "ratio": [0.2, 1.0], "fill": [9, 99, 199], "p": 0.6}},
]  # fmt: skip


def sources(images: Array) -> Array:
    """Return where some points come from: column, row, and whether from inside, (n, 3 points)."""
    return np.concatenate([images[:, y, x] for x, y in POINTS], axis=1)


def level_statistics(images: Array) -> Array:
    """Return means, deviations and quantiles by channel, two pixels, and differences of neighbours and channels."""
    levels = images.reshape(len(images), -1, images.shape[-1]).astype(float)
    steps = np.diff(images.astype(float), axis=2)
    tables = [
        levels.mean(1), levels.std(1), *np.quantile(levels, [0.05, 0.5, 0.9], axis=1),
        *(images[:, y, x] for x, y in POINTS[:2]), steps.std((1, 2)), np.diff(levels, axis=2).std(1),
    ]  # fmt: skip
    return np.concatenate(tables, axis=1)


def small_texture() -> Array:
    return texture(side=24)


@cache
def expected(index: int, image: Callable[[], Array]) -> Array:
    """Return albumentations' draws of a step, once for both engines."""
    step = (GEOMETRY if image is ramps else LEVELS)[index]
    return by_albumentations([step], copies(image(), DRAWS), 2)


def case_name(step: dict[str, dict[str, Any]]) -> str:
    return "".join(step)


@engines
@pytest.mark.parametrize("step", GEOMETRY, ids=case_name)
def test_pixels_come_from_where_albumentations_takes_them(step: dict[str, dict[str, Any]], drawn: Draw) -> None:
    ours, theirs = drawn([step], copies(ramps(), DRAWS), 1), expected(GEOMETRY.index(step), ramps)
    names = [f"{what} at {point}" for point in POINTS for what in ("column", "row", "inside")]
    check_alike(sources(ours), sources(theirs), names)


@engines
@pytest.mark.parametrize("step", LEVELS, ids=case_name)
def test_levels_are_distributed_as_albumentations(step: dict[str, dict[str, Any]], drawn: Draw) -> None:
    ours = level_statistics(drawn([step], copies(small_texture(), DRAWS), 1))
    check_alike(
        ours,
        level_statistics(expected(LEVELS.index(step), small_texture)),
        [f"statistic {i}" for i in range(ours.shape[1])],
    )
