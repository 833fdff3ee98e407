"""Grey levels and colours."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from medray._types import Array
from medray.training.transforms.arguments import Arguments, NoBatchedForm, Range
from medray.training.transforms.batch import Batch, Form


def linear_tables(factors: Array, offsets: Array) -> Array:
    """Return tables uint8 (m, 256) of factor × level + offset, cut off below and above and rounded down."""
    levels = np.arange(256, dtype=np.float32)
    tables = factors[:, None].astype(np.float32) * levels + offsets[:, None].astype(np.float32)
    return tables.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class RandomBrightnessContrast(Form):
    """Levels times 1 + contrast, plus brightness times 255 or times the image's mean."""

    brightness_limit: Range
    contrast_limit: Range
    brightness_by_max: bool

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        form = cls(
            brightness_limit=arguments.symmetric("brightness_limit", (-0.2, 0.2)),
            contrast_limit=arguments.symmetric("contrast_limit", (-0.2, 0.2)),
            brightness_by_max=arguments.flag("brightness_by_max", True),
        )
        if arguments.flag("ensure_safe_range", False):
            raise NoBatchedForm(name)
        arguments.finish()
        return form

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        contrast = 1 + rng.uniform(*self.contrast_limit, size=batch.count)[rows]
        brightness = rng.uniform(*self.brightness_limit, size=batch.count)[rows]
        pixels = batch.settle(rows)
        scale = 255 if self.brightness_by_max else pixels.means(rows)
        pixels.look_up(rows, linear_tables(contrast, brightness * scale))


@dataclass(frozen=True)
class RandomGamma(Form):
    """Levels to the power of a uniform draw; the limits are in percent."""

    gamma_limit: Range

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        limit = arguments.from_low("gamma_limit", (80, 120), 1, 1)
        arguments.finish()
        return cls(limit)

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        gammas = rng.uniform(*self.gamma_limit, size=batch.count)[rows] / 100
        tables = (np.arange(256) * (1 / 255)) ** gammas[:, None] * 255
        batch.settle(rows).look_up(rows, tables.clip(0, 255).astype(np.uint8))


@dataclass(frozen=True)
class ColorJitter(Form):
    """Brightness, contrast, saturation and hue by uniform factors, in an order of each image's own."""

    limits: tuple[Range, Range, Range, Range]

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        brightness, contrast, saturation = (
            arguments.around(each, (0.8, 1.2), 1, 0, math.inf) for each in ("brightness", "contrast", "saturation")
        )
        hue = arguments.around("hue", (-0.5, 0.5), 0, -0.5, 0.5)
        arguments.finish()
        return cls((brightness, contrast, saturation, hue))

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        factors = np.stack([rng.uniform(*limit, size=batch.count) for limit in self.limits], axis=1)
        order = rng.permuted(np.tile(np.arange(4), (batch.count, 1)), axis=1)
        batch.settle(rows).jitter(rows, factors[rows], order[rows])


@dataclass(frozen=True)
class ToGray(Form):
    """Grey images in as many channels; those that are grey stay as they are."""

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        arguments.choice("num_output_channels", 3, (3,))
        arguments.choice("method", "weighted_average", ("weighted_average",))
        arguments.finish()
        return cls()

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        if batch.channels == 3:
            batch.settle(rows).grey(rows)
