"""Crops that are stretched to the image's size, and elastic deformation."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from medray._types import Array
from medray.errors import ConfigError
from medray.training.transforms.arguments import (
    CUBIC,
    LINEAR,
    NEAREST,
    REPLICATE,
    Arguments,
    Range,
    Sampling,
)
from medray.training.transforms.batch import Batch, Form
from medray.training.transforms.blurs import gaussian_kernels


@dataclass(frozen=True)
class RandomResizedCrop(Form):
    """A crop of a share of the area and an aspect ratio, stretched to the image's size."""

    size: tuple[int, int]
    scale: Range
    ratio: Range
    interpolation: int

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        form = cls(
            size=arguments.size("size"),
            scale=arguments.pair("scale", (0.08, 1.0), 0, 1),
            ratio=arguments.pair("ratio", (0.75, 4 / 3), 1e-6),
            interpolation=arguments.choice("interpolation", LINEAR, (NEAREST, LINEAR, CUBIC)),
        )
        arguments.choice("area_for_downscale", None, (None, "image", "image_mask"))
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        if self.size != (batch.height, batch.width):
            images, size = f"{batch.height}×{batch.width}", f"{self.size[0]}×{self.size[1]}"
            raise ConfigError(f"{size} is not the images' size, {images}", key="RandomResizedCrop.size")
        shape, tries = np.array([batch.height, batch.width]), (batch.count, 10)
        area = rng.uniform(*self.scale, size=tries) * batch.height * batch.width
        aspect = np.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1]), size=tries))
        sides = np.rint(np.sqrt(np.stack([area / aspect, area * aspect], axis=-1)))  # heights, widths
        fits = (sides.min(axis=-1) > 0) & (np.max(sides - shape, axis=-1) <= 0)
        sides = sides[np.arange(batch.count), fits.argmax(axis=1)]
        start = np.floor((shape - sides + 1) * rng.random((batch.count, 2)))
        central, none = self._central(batch), ~np.any(fits, axis=1)
        sides[none], start[none] = central, (shape - central) // 2
        scale, start = (sides / shape)[rows], start[rows]
        maps = np.tile(np.eye(3), (len(rows), 1, 1))
        maps[:, 0, 0], maps[:, 1, 1] = scale[:, 1], scale[:, 0]
        maps[:, :2, 2] = (start + scale / 2 - 0.5)[:, ::-1]
        batch.warp(rows, maps, Sampling(self.interpolation, REPLICATE))

    def _central(self, batch: Batch) -> Array:
        """Return the sides of the crop where ten draws did not fit: the largest of a ratio within the limits."""
        ratio = batch.width / batch.height
        height = round(batch.width / self.ratio[0]) if ratio < self.ratio[0] else batch.height
        width = round(batch.height * self.ratio[1]) if ratio > self.ratio[1] else batch.width
        return np.array([height, width])


@dataclass(frozen=True)
class ElasticTransform(Form):
    """A smooth random displacement of each pixel (Simard, Steinkraus & Platt 2003)."""

    alpha: float
    sigma: float
    approximate: bool
    same_dxdy: bool
    sampling: Sampling

    @property
    @override
    def by_image(self) -> bool:
        return False

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        form = cls(
            alpha=arguments.number("alpha", 1, 0),
            sigma=arguments.number("sigma", 50, 1),
            approximate=arguments.flag("approximate", False),
            same_dxdy=arguments.flag("same_dxdy", False),
            sampling=arguments.sampling(),
        )
        arguments.choice("noise_distribution", "gaussian", ("gaussian",))
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        size = 17 if self.approximate else round(self.sigma * 8 + 1) | 1  # OpenCV's size where none is given
        kernel = gaussian_kernels(np.array([self.sigma]), np.array([size]))[0]
        seed = int(rng.integers(2**63))
        batch.settle(rows).displace(rows, kernel, self.alpha, self.same_dxdy, self.sampling, seed)
