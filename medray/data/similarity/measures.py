"""What is measured of an image's pixels: a thumbnail and a few numbers, so that memory stays bounded.

All of it is taken at one small size, 64 x 64: numbers of images of different sizes can then be compared.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from medray._types import Array, Progress, silent

SIDE = 64  # pixels: what images are shrunk to before anything is measured
THUMBNAIL = 32
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
LOOKS = ("brightness", "contrast", "sharpness", "tone")


@dataclass(frozen=True)
class Measures:
    """What is known of n images, each column (n,).

    `problem` says why an image could not be read, or is empty; then its numbers are 0 or NaN. `sha256` is that of
    the file's bytes, or of the pixels where there are no files. `height` and `width` are the original's,
    `channels` are 1 or 3, and `bits` is the depth of each, or 0 where that is not known. `grey_as_rgb` marks those
    of three equal channels.

    brightness   mean of the grey levels, 0 to 255
    contrast     their standard deviation
    sharpness    variance of their Laplacian (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield
                 microscopy", ICPR), at 64 x 64
    tone         mean of red less blue, -255 to 255: above 0 warm, below 0 cold; 0 for grey images
    thumbnail    grey, uint8 (n, 32, 32)
    """

    sha256: Array
    format: Array
    problem: Array
    height: Array
    width: Array
    channels: Array
    bits: Array
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
        """Which images could be read, bool (n,)."""
        found: Array = self.problem == ""
        return found

    @classmethod
    def joined(cls, parts: "list[Measures]") -> "Measures":
        """One after the other; at least one part."""
        columns: dict[str, Any] = {
            own.name: np.concatenate([getattr(part, own.name) for part in parts]) for own in fields(cls)
        }
        return cls(**columns)


def measure(pixels: Array) -> dict[str, Array]:
    """Measure images (n, 64, 64, C) of grey levels 0 to 255: the LOOKS (n,), and `thumbnail` uint8 (n, 32, 32)."""
    pixels = pixels.astype(np.float32, copy=False)
    grey = pixels @ GREY if pixels.shape[3] == 3 else pixels[..., 0]
    tone = (pixels[..., 0] - pixels[..., 2]).mean(axis=(1, 2)) if pixels.shape[3] == 3 else np.zeros(len(pixels))
    inner = grey[:, 1:-1, 1:-1]
    laplacian = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:] - 4 * inner
    small = grey.reshape(-1, THUMBNAIL, 2, THUMBNAIL, 2).mean(axis=(2, 4))
    return {
        "brightness": grey.mean(axis=(1, 2)),
        "contrast": grey.std(axis=(1, 2)),
        "sharpness": laplacian.var(axis=(1, 2)),
        "tone": tone.astype(np.float32),
        "thumbnail": np.round(small).clip(0, 255).astype(np.uint8),
    }


def shrink(images: Array) -> Array:
    """Bring images uint8 (n, H, W, C) to float32 (n, 64, 64, C), antialiased, whatever their aspect."""
    height, width = images.shape[1:3]
    rows, columns = _weights(height), _weights(width)
    channels = [rows @ images[..., c].astype(np.float32) @ columns.T for c in range(images.shape[3])]
    return np.stack(channels, axis=-1)


def _weights(length: int) -> Array:
    """The share (64, length) of each old pixel in each new one: a triangle filter, wider where it shrinks."""
    scale = length / SIDE
    centres = (np.arange(SIDE) + 0.5) * scale - 0.5
    away = np.abs(np.arange(length) - centres[:, None]) / max(scale, 1.0)
    shares = np.clip(1 - away, 0, None)
    weights: Array = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


CHUNK = 64  # images that one thread reads and measures together


CHUNK_BYTES = 8_000_000  # of images in memory: while they are measured they take five times as much


def measure_images(images: Array, progress: Progress = silent) -> Measures:
    """Measure images uint8 (n, H, W, C), at least one."""
    size = max(1, min(8 * CHUNK, CHUNK_BYTES // images[0].nbytes))
    chunks = [images[start : start + size] for start in range(0, len(images), size)]
    return Measures.joined(list(report_parts(measure_chunks(_measure_chunk, chunks), len(images), progress)))


def measure_chunks(do: Callable[[Any], Measures], chunks: Sequence[Any]) -> Iterator[Measures]:
    """Do it with each chunk on all cores; nothing new is begun once the caller stops asking.

    Each has one thread for its matrix products: threads of threads would wait for one another.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(do, chunks)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def report_parts(parts: Iterator[Measures], total: int, progress: Progress) -> Iterator[Measures]:
    """Pass the parts on, and tell of each."""
    done = 0
    for part in parts:
        done += len(part)
        progress("Images", done, total)
        yield part


def _measure_chunk(images: Array) -> Measures:
    """Measure images uint8 (n, H, W, C) of a data set."""
    count, height, width, channels = images.shape
    equal = (images == images[..., :1]).all(axis=(1, 2, 3)) & (channels == 3)
    of_all = {"height": height, "width": width, "channels": channels, "bits": 8}
    return Measures(
        sha256=np.array([hashlib.sha256(np.ascontiguousarray(image).data).hexdigest() for image in images]),
        format=np.full(count, ""),
        problem=np.full(count, ""),
        grey_as_rgb=equal,
        **{name: np.full(count, value) for name, value in of_all.items()},
        **measure(shrink(images)),
    )
