"""Rectangles that are erased."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from medray._types import Array
from medray.training.transforms.arguments import Arguments, Range
from medray.training.transforms.batch import Batch, Form

Fill = tuple[float, ...] | str


def _read_fill(arguments: Arguments) -> Fill:
    fill = arguments.take("fill", 0)
    if fill in ("random", "random_uniform"):
        return str(fill)
    return Arguments({"fill": fill}).fill()


@dataclass(frozen=True)
class CoarseDropout(Form):
    """Some rectangles anywhere: sides are shares of the image's, or pixels if the height's limit is 1 or more."""

    num_holes_range: tuple[int, int]
    hole_height_range: Range
    hole_width_range: Range
    fill: Fill

    @property
    @override
    def by_image(self) -> bool:
        return not isinstance(self.fill, str)

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        form = cls(
            num_holes_range=arguments.whole_pair("num_holes_range", (1, 2), 1),
            hole_height_range=arguments.pair("hole_height_range", (0.1, 0.2), 0),
            hole_width_range=arguments.pair("hole_width_range", (0.1, 0.2), 0),
            fill=_read_fill(arguments),
        )
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        least, most = self.num_holes_range
        size = (batch.count, most)
        used = np.arange(most) < rng.integers(least, most + 1, size=batch.count)[:, None]
        heights = self._sides(self.hole_height_range, batch.height, size, rng) * used
        widths = self._sides(self.hole_width_range, batch.width, size, rng) * used
        top = rng.integers(0, batch.height - heights + 1)
        left = rng.integers(0, batch.width - widths + 1)
        boxes = np.stack([left, top, left + widths, top + heights], axis=-1)
        batch.settle(rows).erase(rows, boxes[rows], self.fill, int(rng.integers(2**63)))

    def _sides(self, limits: Range, side: int, size: tuple[int, int], rng: np.random.Generator) -> Array:
        if self.hole_height_range[1] >= 1:
            return rng.integers(int(limits[0]), int(min(limits[1], side) + 1), size=size)
        return (side * rng.uniform(*limits, size=size)).astype(int)


@dataclass(frozen=True)
class Erasing(Form):
    """One rectangle of a share of the image's area and an aspect ratio (Zhong et al. 2017, "Random Erasing")."""

    scale: Range
    ratio: Range
    fill: Fill

    @property
    @override
    def by_image(self) -> bool:
        return not isinstance(self.fill, str)

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        form = cls(
            scale=arguments.pair("scale", (0.02, 0.33), 0),
            ratio=arguments.pair("ratio", (0.3, 3.3), 1e-6),
            fill=_read_fill(arguments),
        )
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        height, width = batch.height, batch.width
        least = self.scale[0] * height * width
        most = min(self.scale[1] * height * width, self.ratio[0] * height**2, width**2 / self.ratio[1])
        if most < least:
            return  # no rectangle of such a shape fits
        area = rng.uniform(least, most, size=batch.count).clip(1e-9)
        ratio = rng.uniform(
            np.maximum(self.ratio[0], area / height**2), np.minimum(self.ratio[1], width**2 / area)
        )
        heights, widths = np.rint(np.sqrt(area / ratio)).astype(int), np.rint(np.sqrt(area * ratio)).astype(int)
        top, left = rng.integers(0, height - heights + 1), rng.integers(0, width - widths + 1)
        boxes = np.stack([left, top, left + widths, top + heights], axis=-1)[:, None]
        batch.settle(rows).erase(rows, boxes[rows], self.fill, int(rng.integers(2**63)))
