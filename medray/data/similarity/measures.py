"""Measure images: a thumbnail and a few numbers of each, so that memory stays bounded.

All are taken at 64 x 64, so that images of different sizes can be compared.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Self, TypeVar

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from medray._types import Array, Progress, silent
from medray.data.decoding.grey_levels import count_levels

SIDE = 64  # pixels: what images are shrunk to before anything is measured
THUMBNAIL = 32
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
LOOKS = ("brightness", "contrast", "sharpness", "tone")
DARK = 2  # grey level: at most that of a pixel which counts as black
CHUNK = 64  # images that one thread reads and measures together
CHUNK_BYTES = 8_000_000  # of images in memory: while they are measured they take five times as much

Chunk = TypeVar("Chunk")
M = TypeVar("M", bound="Measures")


@dataclass(frozen=True)
class Measures:
    """The measures of n images, one column (n,) each; those of an unreadable image are 0 or NaN.

    sha256         of the file's bytes, or of the pixels where there are no files
    format         of the file, or empty
    problem        why the image could not be read, or empty
    height, width  of the original image
    channels       1 or 3
    bits           of each channel, or 0 where that is not known
    opacity        mean of its alpha, 0 to 1; 1 without alpha
    levels         1 or 2 where the image has no more grey levels, else 0 (`count_levels`)
    grey_as_rgb    whether the image has three equal channels
    brightness     mean of the grey levels, 0 to 255
    contrast       their standard deviation
    sharpness      variance of their Laplacian (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield
                   microscopy", ICPR), at 64 x 64
    tone           mean of red minus blue, -255 to 255: above 0 warm, below 0 cold; 0 for grey images
    thumbnail      grey, uint8 (n, 32, 32)
    """

    sha256: Array
    format: Array
    problem: Array
    height: Array
    width: Array
    channels: Array
    bits: Array
    opacity: Array
    levels: Array
    grey_as_rgb: Array
    brightness: Array
    contrast: Array
    sharpness: Array
    tone: Array
    thumbnail: Array

    def __len__(self) -> int:
        return len(self.sha256)

    @property
    def readable(self) -> Array:
        """Whether each image could be read, bool (n,)."""
        readable: Array = self.problem == ""
        return readable

    def at(self, positions: Array) -> Self:
        """Return the measures of the images at `positions` (m,)."""
        return type(self)(**{field.name: getattr(self, field.name)[positions] for field in fields(self)})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the measures of all parts, at least one, in order."""
        return cls(
            **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        )


def measure(pixels: Array) -> dict[str, Array]:
    """Measure images (n, 64, 64, C), 0 to 255: return the LOOKS (n,), and `thumbnail` uint8 (n, 32, 32)."""
    pixels = pixels.astype(np.float32, copy=False)
    grey = pixels @ LUMA if pixels.shape[3] == 3 else pixels[..., 0]
    tone = (pixels[..., 0] - pixels[..., 2]).mean(axis=(1, 2)) if pixels.shape[3] == 3 else np.zeros(len(pixels))
    inner = grey[:, 1:-1, 1:-1]
    laplacian = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:] - 4 * inner
    upper, lower = grey[:, ::2], grey[:, 1::2]  # a mean over axes two apart takes three times as long
    small = (upper[..., ::2] + upper[..., 1::2] + lower[..., ::2] + lower[..., 1::2]) / 4
    return {
        "brightness": grey.mean(axis=(1, 2)),
        "contrast": grey.std(axis=(1, 2)),
        "sharpness": laplacian.var(axis=(1, 2)),
        "tone": tone.astype(np.float32),
        "thumbnail": np.round(small).clip(0, 255).astype(np.uint8),
    }


def black_share(thumbnails: Array) -> Array:
    """Return the share of black pixels in thumbnails uint8 (n, H, W), (n,) in 0..1."""
    share: Array = (thumbnails <= DARK).mean(axis=(1, 2))
    return share


def shrink(images: Array) -> Array:
    """Resize images uint8 (n, H, W, C) to float32 (n, 64, 64, C), antialiased, without keeping their aspect."""
    rows, columns = (_triangle_filter(length) for length in images.shape[1:3])
    channels = [rows @ images[..., c].astype(np.float32) @ columns.T for c in range(images.shape[3])]
    return np.stack(channels, axis=-1)


@lru_cache(maxsize=16)
def _triangle_filter(length: int) -> Array:
    """Return the weight (64, length) of each old pixel in each new one; the triangle widens where it shrinks."""
    scale = length / SIDE
    centres = (np.arange(SIDE) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(length) - centres[:, None]) / max(scale, 1.0)
    weights = np.clip(1 - distance, 0, None)
    normalised: Array = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    normalised.setflags(write=False)  # the same array for all
    return normalised


def measure_all(images: Array, progress: Progress = silent) -> Measures:
    """Measure images uint8 (n, H, W, C), at least one, on all cores."""
    size = max(1, min(8 * CHUNK, CHUNK_BYTES // images[0].nbytes))
    chunks = [images[start : start + size] for start in range(0, len(images), size)]
    return measure_chunks(_measure_chunk, chunks, len(images), progress)


def measure_chunks(
    measure_chunk: Callable[[Chunk], M], chunks: Sequence[Chunk], total: int, progress: Progress
) -> M:
    """Call `measure_chunk` with each chunk, on all cores, and report how many of `total` images are done.

    Each call has one thread for its matrix products: more threads than cores would wait for one another.
    """
    parts: list[M] = []
    done = 0
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for part in pool.map(measure_chunk, chunks):
                parts.append(part)
                done += len(part)
                progress("Images", done, total)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # of an interrupt
    return type(parts[0]).concatenate(parts)


def _measure_chunk(images: Array) -> Measures:
    """Measure images uint8 (n, H, W, C) on this thread."""
    count, height, width, channels = images.shape
    constants = {
        "format": "",
        "problem": "",
        "height": height,
        "width": width,
        "channels": channels,
        "bits": 8,
        "opacity": 1.0,
    }
    return Measures(
        sha256=np.array([hashlib.sha256(np.ascontiguousarray(image).data).hexdigest() for image in images]),
        levels=np.array(
            [count_levels(Image.fromarray(image.squeeze(2) if channels == 1 else image)) for image in images]
        ),
        grey_as_rgb=(images == images[..., :1]).all(axis=(1, 2, 3)) & (channels == 3),
        **{name: np.full(count, value) for name, value in constants.items()},
        **measure(shrink(images)),
    )
