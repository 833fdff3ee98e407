"""Images that look a little medical, listings of files with them, and functions that make duplicates."""

import io
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.listing.listing import ListedImage, Listing
from medray.data.phantoms import organs


@cache
def phantom() -> ImageDataset:
    """600 drawings of organs, grey, 64 x 64."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(organs, "IMAGES", 600)
        return organs.draw_organs(size=64)


def blobs(count: int, *, size: int = 64, channels: int = 1, seed: int = 0) -> Array:
    """Smooth spots of random place, width and brightness, uint8 (count, size, size, channels)."""
    return _blobs(count, size, channels, seed).copy()


@cache
def _blobs(count: int, size: int, channels: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size][..., None] / size
    pixels = np.full((count, size, size, channels), 70.0)
    for image in pixels:
        for _ in range(12):
            centre, width = rng.uniform(0, 1, 2), rng.uniform(0.04, 0.2)
            near = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * width**2))
            image += rng.uniform(-60, 120, channels) * near
    return pixels.clip(0, 255).astype(np.uint8)


def encoded(pixels: Array, form: str = "png", **options: Any) -> bytes:
    """The file of an image (H, W, C)."""
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, form, **options)
    return stream.getvalue()


def halved(pixels: Array) -> bytes:
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    stream = io.BytesIO()
    picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BICUBIC).save(stream, "png")
    return stream.getvalue()


#: Each makes from an image (H, W, C) the file of a duplicate.
COPIERS: dict[str, Callable[[Array], bytes]] = {
    "same": encoded,
    "mirrored": lambda pixels: encoded(pixels[:, ::-1]),
    "upside down": lambda pixels: encoded(pixels[::-1]),
    "turned by 90": lambda pixels: encoded(np.rot90(pixels)),
    "turned by 180": lambda pixels: encoded(np.rot90(pixels, 2)),
    "turned by 270": lambda pixels: encoded(np.rot90(pixels, 3)),
    "transposed": lambda pixels: encoded(pixels.transpose(1, 0, 2)),
    "JPEG of quality 60": lambda pixels: encoded(pixels, "jpeg", quality=60),
    "halved": halved,
    "turned, mirrored, JPEG": lambda pixels: encoded(np.rot90(pixels)[:, ::-1], "jpeg", quality=60),
}


class Folder:
    """Files that are written one by one, and the listing of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images: list[ListedImage] = []

    def add(
        self,
        content: bytes,
        labels: Sequence[str] = ("a",),
        split: str | None = None,
        patient: str | None = None,
    ) -> int:
        """Write a file and return its position."""
        name = f"{len(self.images):04d}"
        (self.root / name).write_bytes(content)
        self.images.append(ListedImage(self.root / name, name, tuple(labels), split, patient))
        return len(self.images) - 1

    def listing(self, **facts: Any) -> Listing:
        return Listing("folder:test", self.root, tuple(self.images), **facts)


def clean_folder(root: Path, *, per_class: int = 20, patients: bool = False) -> Folder:
    """Two classes in three splits, all images different; with `patients` one for every two of them."""
    folder, pixels = Folder(root), blobs(3 * 2 * per_class, seed=1)
    for number, image in enumerate(pixels):
        split = ("train", "val", "test")[number // (2 * per_class)]
        folder.add(encoded(image), ("ab"[number % 2],), split, f"p{number // 2}" if patients else None)
    return folder
