"""Geometry that one matrix says: rotation, affine, perspective."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from medray._types import Array
from medray.training.transforms.arguments import (
    Arguments,
    NoBatchedForm,
    Range,
    Sampling,
    by_axis,
)
from medray.training.transforms.batch import Batch, Form


@dataclass(frozen=True)
class Rotate(Form):
    """A rotation about the centre by uniform degrees."""

    limit: Range
    sampling: Sampling

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        limit, sampling = arguments.symmetric("limit", (-90, 90)), arguments.sampling()
        if arguments.flag("crop_border", False):
            raise NoBatchedForm(name)
        arguments.finish()
        return cls(limit, sampling)

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        angles = rng.uniform(*self.limit, size=batch.count)[rows]
        still, one = np.zeros((len(rows), 2)), np.ones((len(rows), 2))
        batch.warp(rows, affine_maps(batch, still, still, one, angles), self.sampling)


@dataclass(frozen=True)
class Affine(Form):
    """Scale, then rotation, shear and translation about the centre; of each a uniform draw, by axis."""

    scale: dict[str, Range]
    translate: dict[str, Range]
    in_pixels: bool
    rotate: Range
    shear: dict[str, Range]
    keep_ratio: bool
    balanced_scale: bool
    sampling: Sampling

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        scale = by_axis(arguments.take("scale", (1.0, 1.0)), 1.0, low=1e-3)
        percent, pixels = arguments.take("translate_percent", None), arguments.take("translate_px", None)
        form = cls(
            scale=scale,
            translate=by_axis(percent if percent is not None else pixels if pixels is not None else 0.0, 0.0),
            in_pixels=percent is None,
            rotate=by_axis(arguments.take("rotate", 0.0), 0.0)["x"],
            shear=by_axis(arguments.take("shear", (0.0, 0.0)), 1.0),  # an axis that is left out is sheared by 1°
            keep_ratio=arguments.flag("keep_ratio", False),
            balanced_scale=arguments.flag("balanced_scale", False),
            sampling=arguments.sampling(),
        )
        ends = (end for pair in form.translate.values() for end in pair)
        refused = (
            arguments.flag("fit_output", False),
            percent is not None and pixels is not None,
            form.keep_ratio and scale["x"] != scale["y"],
            form.in_pixels and any(end != int(end) for end in ends),
        )
        if any(refused):
            raise NoBatchedForm(name)
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        count = batch.count
        if self.in_pixels:
            ends = [(int(first), int(last) + 1) for first, last in (self.translate["x"], self.translate["y"])]
            shift = np.stack([rng.integers(*pair, size=count) for pair in ends], axis=1).astype(float)
        else:
            share = np.stack([rng.uniform(*self.translate[axis], size=count) for axis in "xy"], axis=1)
            shift = np.trunc(share * (batch.width, batch.height))
        shear = -np.stack([rng.uniform(*self.shear[axis], size=count) for axis in "xy"], axis=1)
        scale = np.stack([self._scales(self.scale[axis], count, rng) for axis in "xy"], axis=1)
        if self.keep_ratio:
            scale[:, 1] = scale[:, 0]
        angles = rng.uniform(*self.rotate, size=count)
        maps = affine_maps(batch, shift[rows], shear[rows], scale[rows], angles[rows])
        batch.warp(rows, maps, self.sampling)

    def _scales(self, limits: Range, count: int, rng: np.random.Generator) -> Array:
        """Return scales (n,): uniform, or if balanced enlarged and reduced equally often, uniform in either."""
        if not self.balanced_scale:
            return rng.uniform(*limits, size=count)
        low, high = limits
        parts = [(low, 1.0)] * (low < 1) + [(1.0, high)] * (high > 1) or [(1.0, 1.0)]
        ends = np.array(parts)[rng.integers(len(parts), size=count)]
        return rng.uniform(ends[:, 0], ends[:, 1])


def affine_maps(batch: Batch, shift: Array, shear: Array, scale: Array, angles: Array) -> Array:
    """Return the maps (m, 3, 3) from the result to the source; shift, shear and scale are (m, 2), in x and y.

    An image is scaled, rotated against the clock and sheared by degrees, and shifted by pixels.
    """
    turn, tangent = np.deg2rad(angles), np.tan(np.deg2rad(shear))
    cos, sin, none, one = np.cos(turn), np.sin(turn), np.zeros(len(turn)), np.ones(len(turn))
    rotation = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    shearing = np.stack([np.stack([one, tangent[:, 0]], 1), np.stack([tangent[:, 1], one], 1)], 1)
    inverse = np.linalg.inv(shearing @ rotation * scale[:, None, :])
    centre = np.array([batch.width / 2 - 0.5, batch.height / 2 - 0.5])
    maps = np.empty((len(turn), 3, 3))
    maps[:, :2, :2] = inverse
    maps[:, :2, 2] = centre - np.einsum("nij,nj->ni", inverse, centre + shift)
    maps[:, 2] = np.stack([none, none, one], 1)
    return maps


@dataclass(frozen=True)
class Perspective(Form):
    """A view of the quadrilateral whose corners lie inside the image's by the size of normal draws."""

    scale: Range
    sampling: Sampling

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        form = cls(arguments.from_low("scale", (0.05, 0.1), 0, 0), arguments.sampling())
        if not arguments.flag("keep_size", True) or arguments.flag("fit_output", False):
            raise NoBatchedForm(name)
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        scales = rng.uniform(*self.scale, size=batch.count)
        jitter = np.abs(rng.standard_normal((batch.count, 4, 2)) * scales[:, None, None])[rows] % 0.32
        far = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])  # x and y, clockwise from the top left
        points = np.where(far == 1, 1 - jitter, jitter) * (batch.width, batch.height)
        batch.warp(rows, quadrilateral_maps(points, batch.width, batch.height), self.sampling)


def quadrilateral_maps(corners: Array, width: int, height: int) -> Array:
    """Return the maps (m, 3, 3) from the result to quadrilaterals (m, 4, 2), clockwise from the top left.

    The projective map of a square (Heckbert 1989, "Fundamentals of Texture Mapping", 2.2.3). albumentations
    stretches the quadrilateral to the image's size, and once more as if it still had its own; so what is seen is
    its part at the top left.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.transpose(1, 2, 0)
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)  # top, right, bottom, left
    seen_width = np.trunc(np.maximum(sides[:, 0], sides[:, 2]).clip(2)) / width**2
    seen_height = np.trunc(np.maximum(sides[:, 1], sides[:, 3]).clip(2)) / height**2
    dx1, dx2, dy1, dy2 = x1 - x2, x3 - x2, y1 - y2, y3 - y2
    sum_x, sum_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    determinant = dx1 * dy2 - dx2 * dy1
    g, h = (sum_x * dy2 - dx2 * sum_y) / determinant, (dx1 * sum_y - sum_x * dy1) / determinant
    maps = np.array([
        [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
        [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
        [g, h, np.ones(len(g))],
    ]).transpose(2, 0, 1)  # fmt: skip
    scales: Array = np.stack([seen_width, seen_height, np.ones(len(g))], axis=1)
    return maps * scales[:, None, :]
