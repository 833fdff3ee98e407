"""Blur and noise."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from medray._types import Array
from medray.training.transforms.arguments import Arguments, NoBatchedForm, Range
from medray.training.transforms.batch import Batch, Form


@dataclass(frozen=True)
class GaussianBlur(Form):
    """A Gaussian blur of uniform sigma; `blur_limit` are sizes of its kernel, 0 for one by sigma."""

    sigma_limit: Range
    blur_limit: tuple[int, int]

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        sizes = arguments.from_low("blur_limit", (0, 0), 0, 0)
        if any(size != int(size) for size in sizes):
            raise NoBatchedForm(name)
        form = cls(arguments.from_low("sigma_limit", (0.5, 3.0), 0, 1e-3), (int(sizes[0]), int(sizes[1])))
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        sigmas = rng.uniform(*self.sigma_limit, size=batch.count)[rows]
        sizes = rng.integers(self.blur_limit[0], self.blur_limit[1] + 1, size=batch.count)[rows]
        sizes = np.where(sizes == 0, (sigmas * 3.5).astype(int) * 2 + 1, sizes) | 1
        batch.settle(rows).blur(rows, gaussian_kernels(sigmas, sizes))


def gaussian_kernels(sigmas: Array, sizes: Array) -> Array:
    """Return Gaussian kernels that sum to 1, of odd sizes (m,), as (m, largest size) with zeros around them."""
    radius = int(sizes.max(initial=1)) // 2
    offsets = np.arange(-radius, radius + 1)
    kernels = np.exp(-0.5 * (offsets / sigmas[:, None]) ** 2)
    kernels[np.abs(offsets) > sizes[:, None] // 2] = 0
    normed: Array = kernels / kernels.sum(axis=1, keepdims=True)
    return normed


def smoothing_matrices(kernels: Array, size: int, *, reflect: bool) -> Array:
    """Return matrices (m, size, size) that convolve a line of `size` pixels with kernels (m, 2 r + 1).

    Beyond its ends the line is reflected about its outermost pixels, or else these are repeated.
    """
    radius = kernels.shape[1] // 2
    positions = np.arange(size)[:, None] + np.arange(-radius, radius + 1)
    period = max(1, 2 * (size - 1))
    mirrored = np.abs((positions + size - 1) % period - (size - 1)) if size > 1 else np.zeros_like(positions)
    sources = mirrored if reflect else positions.clip(0, size - 1)
    matrices = np.zeros((len(kernels), size, size))
    for offset in range(kernels.shape[1]):
        matrices[:, np.arange(size), sources[:, offset]] += kernels[:, offset, None]
    return matrices


@dataclass(frozen=True)
class Blur(Form):
    """The mean of a square of odd size, each size within the limits equally likely."""

    blur_limit: tuple[int, int]

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        first, last = arguments.from_low("blur_limit", (3, 7), 3, 3)
        if first % 2 != 1 or last % 2 != 1:
            raise NoBatchedForm(name)
        arguments.finish()
        return cls((int(first), int(last)))

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        first, last = self.blur_limit
        radii = rng.integers(first // 2, last // 2 + 1, size=batch.count)[rows]
        offsets = np.abs(np.arange(-(last // 2), last // 2 + 1))
        kernels = (offsets <= radii[:, None]) / (2 * radii[:, None] + 1)
        batch.settle(rows).blur(rows, kernels)


@dataclass(frozen=True)
class GaussNoise(Form):
    """Normal noise of uniform deviation and mean, as shares of 255."""

    std_range: Range
    mean_range: Range
    per_channel: bool

    @property
    @override
    def by_image(self) -> bool:
        return False

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        form = cls(
            std_range=arguments.pair("std_range", (0.2, 0.44), 0, 1),
            mean_range=arguments.pair("mean_range", (0.0, 0.0), -1, 1),
            per_channel=arguments.flag("per_channel", True),
        )
        arguments.choice("noise_scale_factor", 1, (1,))
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        deviations = 255 * rng.uniform(*self.std_range, size=batch.count)[rows]
        means = 255 * rng.uniform(*self.mean_range, size=batch.count)[rows]
        seed = int(rng.integers(2**63))
        batch.settle(rows).add_noise(rows, means, deviations, self.per_channel, seed)
