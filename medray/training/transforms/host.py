"""Images in the processor's memory, changed one by one by OpenCV: there faster than any batched computation.

OpenCV is imported when the first image is changed.
"""

import os
from functools import cache
from typing import Any

import numpy as np
from typing_extensions import override

from medray._types import Array
from medray.training.transforms.arguments import Sampling, by_channel
from medray.training.transforms.batch import Pixels
from medray.training.transforms.levels import linear_tables


@cache
def opencv() -> Any:
    """Return OpenCV with one thread, as others would compete with the machine's trials; None if there is none."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import cv2
    except ImportError:
        return None
    cv2.setNumThreads(0)
    return cv2


class HostPixels(Pixels):
    """Images uint8 (n, H, W, C), contiguous, changed in place; see `Pixels`."""

    def __init__(self, images: Array) -> None:
        self._images, self._cv2 = images, opencv()
        self.shape: tuple[int, int, int, int] = images.shape
        height, width, channels = self.shape[1:]
        # OpenCV's own form: without an axis for one channel.
        self._views = images.reshape(-1, height, width) if channels == 1 else images

    @override
    def turn(self, rows: Array, maps: Array) -> None:
        cv2, views = self._cv2, self._views
        linear = np.rint(maps[:, :2, :2]).astype(int).reshape(-1, 4)
        for row, (a, b, c, d) in zip(rows.tolist(), linear.tolist(), strict=True):
            mirrored, flipped = a + b < 0, c + d < 0
            image = views[row]
            if mirrored or flipped:
                image = cv2.flip(image, -1 if mirrored and flipped else int(mirrored))
            views[row] = image if a else cv2.transpose(image)

    @override
    def warp(self, rows: Array, maps: Array, sampling: Sampling) -> None:
        cv2, (height, width, channels) = self._cv2, self.shape[1:]
        flags = sampling.interpolation | cv2.WARP_INVERSE_MAP
        fill = by_channel(sampling.fill, channels)
        size, border, views = (width, height), sampling.border, self._views
        projective = np.abs(maps[:, 2, :2]).max(axis=1) > 0
        for row, matrix, is_projective in zip(rows.tolist(), maps, projective.tolist(), strict=True):
            warp, matrix = (cv2.warpPerspective, matrix) if is_projective else (cv2.warpAffine, matrix[:2])
            views[row] = warp(views[row], matrix, size, flags=flags, borderMode=border, borderValue=fill)

    @override
    def displace(
        self, rows: Array, kernel: Array, alpha: float, shared: bool, sampling: Sampling, seed: int
    ) -> None:
        cv2, rng, (height, width, channels) = self._cv2, np.random.default_rng(seed), self.shape[1:]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        fill = by_channel(sampling.fill, channels)
        for row in rows.tolist():
            fields = rng.standard_normal((1 if shared else 2, height, width), dtype=np.float32)
            fields /= np.abs(fields).max()
            smooth = cv2.sepFilter2D(
                fields.reshape(-1, width), -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE
            ).reshape(fields.shape)
            smooth *= alpha
            self._views[row] = cv2.remap(
                self._views[row], x + smooth[0], y + smooth[-1], sampling.interpolation,
                borderMode=sampling.border, borderValue=fill,
            )  # fmt: skip

    @override
    def means(self, rows: Array) -> Array:
        means: Array = self._images[rows].mean(axis=(1, 2, 3), dtype=np.float64)
        return means

    @override
    def look_up(self, rows: Array, tables: Array) -> None:
        for row, table in zip(rows.tolist(), tables, strict=True):
            self._views[row] = self._cv2.LUT(self._views[row], table)

    @override
    def jitter(self, rows: Array, factors: Array, order: Array) -> None:
        cv2, grey_images = self._cv2, self.shape[3] == 1
        brightness = linear_tables(factors[:, 0], np.zeros(len(rows)))
        hues = ((np.arange(256) + 180 * factors[:, 3:]) % 180).astype(np.uint8)  # OpenCV's hue counts by 2°
        steps = zip(rows.tolist(), factors.tolist(), order.tolist(), brightness, hues, strict=True)
        for row, (_, contrast, saturation, hue), sequence, table, hue_table in steps:
            image = self._views[row]
            for change in sequence:
                if change == 0:
                    image = cv2.LUT(image, table)
                elif change == 1:
                    grey = image if grey_images else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
                    offset = cv2.mean(grey)[0] * (1 - contrast)
                    image = cv2.LUT(image, linear_tables(np.array([contrast]), np.array([offset])))
                elif change == 2 and not grey_images:
                    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
                    image = cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)
                elif change == 3 and not grey_images and hue:
                    image = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
                    image = cv2.insertChannel(cv2.LUT(cv2.extractChannel(image, 0), hue_table), image, 0)
                    image = cv2.cvtColor(image, cv2.COLOR_HSV2RGB)
            self._views[row] = image

    @override
    def grey(self, rows: Array) -> None:
        for row in rows.tolist():
            self._images[row] = self._cv2.cvtColor(self._images[row], self._cv2.COLOR_RGB2GRAY)[:, :, None]

    @override
    def erase(self, rows: Array, boxes: Array, fill: tuple[float, ...] | str, seed: int) -> None:
        channels = self.shape[3]
        rng = np.random.default_rng(seed)
        colour = None if isinstance(fill, str) else np.array(by_channel(fill, channels)).astype(np.uint8)
        for row, holes in zip(rows.tolist(), boxes.tolist(), strict=True):
            for left, top, right, bottom in holes:
                size = (1, channels) if fill == "random_uniform" else (bottom - top, right - left, channels)
                filling = rng.integers(256, size=size, dtype=np.uint8) if colour is None else colour
                self._images[row, top:bottom, left:right] = filling

    @override
    def add_noise(self, rows: Array, means: Array, deviations: Array, by_channel: bool, seed: int) -> None:
        cv2, (height, width, channels) = self._cv2, self.shape[1:]
        cv2.setRNGSeed(seed % 2**31)  # of this thread's numbers: drawn four times as fast as NumPy's
        shared = channels == 3 and not by_channel
        noise = np.empty((height, width if shared else width * channels), dtype=np.float32)
        for row, mean, deviation in zip(rows.tolist(), means.tolist(), deviations.tolist(), strict=True):
            cv2.randn(noise, mean - 0.499, deviation)  # the sum is rounded, where albumentations cuts it off
            image = self._views[row]
            added = cv2.merge([noise] * 3) if shared else noise.reshape(image.shape)
            self._views[row] = cv2.add(image, added, dtype=cv2.CV_8U)

    @override
    def blur(self, rows: Array, kernels: Array) -> None:
        middle = kernels.shape[1] // 2
        radii = (kernels > 0).sum(axis=1) // 2
        for row, kernel, radius in zip(rows.tolist(), kernels, radii.tolist(), strict=True):
            used = kernel[middle - radius : middle + radius + 1]
            self._views[row] = self._cv2.sepFilter2D(self._views[row], -1, used, used)

    @override
    def read(self, rows: Array) -> Array:
        return self._images[rows]

    @override
    def write(self, rows: Array, images: Array) -> None:
        self._images[rows] = images
