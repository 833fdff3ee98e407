"""Images at a network's own size: the triangle filter, its support scaled by what an image shrinks, as PIL has it.

The filter is two products with weight matrices, first along rows, then along columns. Where an image shrinks, both
results are rounded to the 256 grey levels. Weights are multiples of 2^-16 that sum to 1, so that each sum of
products with levels needs 24 bits, as many as a float32 has: it is exact, in whatever order a CPU, a GPU or ONNX
Runtime adds. That is why images that were shrunk once and kept are, to the last level, those that a network
shrinks by itself.
"""

from functools import cache

import numpy as np

from medray._types import Array, Shape

UNIT = 2**16  # of the weights
Size = tuple[int, int]  # height, width


def sized(size: Size, image_size: int | None) -> Size:
    """Return the size (height, width) whose longer side is `image_size`, the other in proportion; None: as it is.

    >>> sized((100, 75), 64)
    (64, 48)
    """
    if image_size is None:
        return size
    height, width = (max(1, round(side * image_size / max(size))) for side in size)
    return height, width


def limited(size: Size, longest: int | None) -> Size:
    """Return the size itself, or if its longer side is above `longest` that whose longer side is."""
    return size if longest is None or max(size) <= longest else sized(size, longest)


def sized_shape(shape: Shape, image_size: int | None) -> Shape:
    """Return the shape (H, W, C) of images as a network with this `image_size` sees them."""
    return *sized(shape[:2], image_size), shape[2]


def shrinks(before: Size, after: Size) -> bool:
    """Return whether no side grows from the one size to the other: the result is then rounded to grey levels."""
    return after[0] <= before[0] and after[1] <= before[1]


@cache
def triangle_weights(before: int, after: int) -> Array:
    """Return the weights float32 (after, before) of a side's pixels in each pixel of the resized side.

    They are those of PIL's BILINEAR, in multiples of 2^-16 of which each row sums to 1.
    """
    scale = before / after
    reach = max(scale, 1.0)  # the filter's half width, in pixels of the original
    centres = (np.arange(after) + 0.5)[:, None] * scale
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(before) + 0.5 - centres) / reach)
    units = weights / weights.sum(axis=1, keepdims=True) * UNIT
    whole = np.floor(units)
    # What is lost by rounding down goes to those that lost most, one unit each.
    rank = np.argsort(np.argsort(-(units - whole), axis=1, kind="stable"), axis=1, kind="stable")
    whole += rank < (UNIT - whole.sum(axis=1, keepdims=True))
    table: Array = (whole / UNIT).astype(np.float32)
    table.flags.writeable = False
    return table


def shrink(images: Array, size: Size) -> Array:
    """Return uint8 images (.., H, W, C) shrunk to the size (h, w), uint8 (.., h, w, C)."""
    height, width = images.shape[-3:-1]
    if (height, width) == size:
        return images
    levels = np.moveaxis(images, -1, -3).astype(np.float32)  # (.., C, H, W)
    levels = np.floor(levels @ triangle_weights(width, size[1]).T + np.float32(0.5))
    levels = np.floor(triangle_weights(height, size[0]) @ levels + np.float32(0.5))
    return np.ascontiguousarray(np.moveaxis(levels, -3, -1).astype(np.uint8))


class ShrunkImages:
    """Images uint8 (N, h, w, C) that are shrunk from larger ones each time that they are read.

    As much of an array as a slice of a data set needs, for sizes that are not kept.
    """

    def __init__(self, images: Array, size: Size) -> None:
        self.images, self.size, self.dtype, self.ndim = images, size, images.dtype, images.ndim
        self.shape = (len(images), *size, images.shape[3])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Array | int) -> Array:
        return shrink(self.images[rows], self.size)
