"""Functions that make from an image a copy that was cropped, shifted or marked."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from medray._types import Array


def cropped(pixels: Array, left: float, top: float, right: float, bottom: float) -> Array:
    """Cut shares of the width and height off an image (H, W, 1) and resize it back."""
    picture = Image.fromarray(pixels[..., 0])
    width, height = picture.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return np.asarray(picture.resize(picture.size, Image.Resampling.BICUBIC, box))[..., None]


def shifted(pixels: Array, share: float) -> Array:
    """Shift an image (H, W, 1) to the right and down; what comes in is black."""
    rows, columns = (round(side * share) for side in pixels.shape[:2])
    return np.pad(pixels, ((rows, 0), (columns, 0), (0, 0)))[: pixels.shape[0], : pixels.shape[1]]


def marked(pixels: Array, share: float) -> Array:
    """Paint a white box of that share of the width near the upper right corner of an image (H, W, 1)."""
    side, margin, result = round(pixels.shape[1] * share), round(pixels.shape[1] * 0.015), pixels.copy()
    result[margin : margin + side, -margin - side : -margin or None] = 255
    return result


CHANGES: dict[str, Callable[[Array], Array]] = {
    "crop of 1 side": lambda pixels: cropped(pixels, 0.05, 0, 0, 0),
    "crop of 4 sides": lambda pixels: cropped(pixels, 0.05, 0.05, 0.05, 0.05),
    "shift": lambda pixels: shifted(pixels, 0.05),
    "mark": lambda pixels: marked(pixels, 0.08),
    "turned, shifted": lambda pixels: shifted(np.rot90(pixels), 0.05),
    "mirrored, cropped": lambda pixels: cropped(pixels[:, ::-1], 0.03, 0.03, 0.03, 0.03),
}
