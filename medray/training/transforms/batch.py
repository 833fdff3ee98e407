"""A batch of images with the geometry that each of them has yet to undergo."""

from abc import ABC, abstractmethod
from typing import Protocol, Self

import numpy as np

from medray._types import Array
from medray.training.transforms.arguments import Arguments, Sampling

_UPRIGHT, _TURNED, _WARPED = 0, 1, 2
_SLACK = 1e-3  # pixels


class Pixels(Protocol):
    """uint8 images (n, H, W, C) that are changed in place; `rows` (m,) say which of them."""

    shape: tuple[int, int, int, int]

    def turn(self, rows: Array, maps: Array) -> None:
        """Mirror and turn images by multiples of 90°, exactly. `maps` (m, 3, 3) as in `warp`."""

    def warp(self, rows: Array, maps: Array, sampling: Sampling) -> None:
        """Sample images anew: `maps` (m, 3, 3) lead from a pixel (x, y, 1) of the result to its source."""

    def displace(
        self, rows: Array, kernel: Array, alpha: float, shared: bool, sampling: Sampling, seed: int
    ) -> None:
        """Move pixels by fields of noise up to 1, smoothed by `kernel` and times alpha.

        One field is for columns and one for rows, or one for both if shared.
        """

    def means(self, rows: Array) -> Array:
        """Return the mean grey level of images, (m,)."""

    def look_up(self, rows: Array, tables: Array) -> None:
        """Replace each grey level by its entry in the image's table, uint8 (m, 256)."""

    def jitter(self, rows: Array, factors: Array, order: Array) -> None:
        """Change brightness, contrast, saturation and hue by factors (m, 4), in each image's order (m, 4)."""

    def grey(self, rows: Array) -> None:
        """Make colour images grey; they keep their channels."""

    def erase(self, rows: Array, boxes: Array, fill: tuple[float, ...] | str, seed: int) -> None:
        """Fill rectangles, int (m, k, 4) as left, top, right, bottom; empty ones are none.

        `fill` is by channel, or "random" for each pixel, or "random_uniform" for each rectangle.
        """

    def add_noise(self, rows: Array, means: Array, deviations: Array, by_channel: bool, seed: int) -> None:
        """Add normal noise to each pixel, of each channel or the same to all; in grey levels, (m,)."""

    def blur(self, rows: Array, kernels: Array) -> None:
        """Convolve rows and columns with each image's kernel, (m, 2 r + 1)."""

    def read(self, rows: Array) -> Array:
        """Return copies of images as an array (m, H, W, C)."""

    def write(self, rows: Array, images: Array) -> None:
        """Replace images by an array (m, H, W, C)."""


class Batch:
    """Images whose geometry is collected in one matrix each, and sampled once.

    Two warps become one only where this shows the same: the second must not look past the frame of the first,
    where its border is and not the image. Else the first is computed before. Turns always join.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        count, self.height, self.width, self.channels = pixels.shape
        self.count = count
        self._maps = np.tile(np.eye(3), (count, 1, 1))
        self._state = np.zeros(count, dtype=np.int8)
        self._samplings: list[Sampling] = []
        self._sampling = np.zeros(count, dtype=np.int64)
        right, bottom = self.width - 1.0, self.height - 1.0
        self._corners = np.array([[0, right, 0, right], [0, 0, bottom, bottom], [1, 1, 1, 1]])
        self._limits = np.array([[right], [bottom]]) + _SLACK

    def turn(self, rows: Array, maps: Array) -> None:
        """Let images be turned by `maps` (m, 3, 3), from a pixel of the result to its source."""
        self._maps[rows] = self._maps[rows] @ maps
        self._state[rows] = np.maximum(self._state[rows], _TURNED)

    def warp(self, rows: Array, maps: Array, sampling: Sampling) -> None:
        """Let images be warped by `maps` (m, 3, 3), from a pixel of the result to its source."""
        if sampling not in self._samplings:
            self._samplings.append(sampling)
        index = self._samplings.index(sampling)
        corners = maps @ self._corners
        corners = corners[:, :2] / corners[:, 2:]
        inside = ((corners >= -_SLACK) & (corners <= self._limits)).all(axis=(1, 2))
        interpolations = np.array([each.interpolation for each in self._samplings])[self._sampling[rows]]
        joins = inside & (interpolations == sampling.interpolation)
        self.settle(rows[(self._state[rows] == _WARPED) & ~joins])
        fresh = rows[self._state[rows] != _WARPED]
        self._sampling[fresh] = index
        self._maps[rows] = self._maps[rows] @ maps
        self._state[rows] = _WARPED

    def settle(self, rows: Array) -> Pixels:
        """Compute what geometry images have yet to undergo, and return the pixels for other changes to these."""
        turned, warped = rows[self._state[rows] == _TURNED], rows[self._state[rows] == _WARPED]
        if len(turned):
            self.pixels.turn(turned, self._maps[turned])
        for index, sampling in enumerate(self._samplings):
            some = warped[self._sampling[warped] == index]
            if len(some):
                self.pixels.warp(some, self._maps[some], sampling)
        self._maps[rows] = np.eye(3)
        self._state[rows] = _UPRIGHT
        return self.pixels


class Form(ABC):
    """The batched form of a transform."""

    @property
    def by_image(self) -> bool:
        """Whether an image's result does not depend on which others are transformed, as noise of a stream does."""
        return True

    @classmethod
    @abstractmethod
    def read(cls, arguments: Arguments, name: str) -> Self:
        """Make it of the arguments of albumentations' transform `name`.

        Raises:
            NoBatchedForm: it has none with these.
        """

    @abstractmethod
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        """Apply it to some images of a batch.

        Parameters are drawn for all images, so that those of one don't depend on which others are transformed.
        """
