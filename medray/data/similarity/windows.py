"""Windows: the part of an image inside its border, moved and resized a little, as a cropped copy would show it.

The four edges (left, right, top, bottom) say how far each side of a window lies inside that of the plain window,
as a share of the image's side: (0.03, -0.03, 0, 0) is a window further right, four times 0.03 a smaller one.
"""

from functools import cache

import numpy as np

from medray._types import Array
from medray.data.similarity.measures import THUMBNAIL

WAVES = 16  # the lowest, each way: more than of a hash, as a window is compared after it was fitted
MARGIN = 0.08  # of each side, outside of the plain window: a shift of 5 % leaves a strip that no copy shows
STEP = 0.0025  # of the edges, a twelfth of a thumbnail's pixel
REACH = 30  # steps, 7.5 %: nearly to the image's own side
CORNER = 3  # pixels of a thumbnail, 9 %: a mark of 8 %, 1 % away from the sides


def fill_corners(thumbnails: Array) -> Array:
    """Return thumbnails float32 (n, s, s) whose corners are interpolated from what borders on them.

    A laterality mark or a label there is no detail of the image.
    """
    filled = thumbnails.astype(np.float32)
    weight = 1 / np.arange(CORNER, 0, -1, dtype=np.float32)  # nearer to the border of the corner counts more
    weights = weight[:, None] + weight
    for corner in (filled, filled[:, ::-1], filled[:, :, ::-1], filled[:, ::-1, ::-1]):  # views
        row, column = corner[:, CORNER, None, :CORNER], corner[:, :CORNER, CORNER, None]
        corner[:, :CORNER, :CORNER] = (weight[:, None] * row + weight * column) / weights
    return filled


@cache
def window_waves() -> tuple[Array, Array, Array]:
    """Return what makes the spectra of windows, and its derivatives by the first and by the second edge.

    Each is float32 (e, e, 16, 32), e = 2 * REACH + 1: for two edges of one axis, in steps from -REACH on, the
    lowest waves of the cosine transform times a linear interpolation of the pixels. They take 23 MB.
    """
    edges = np.arange(-REACH - 1, REACH + 2) * STEP  # one more on either side for the derivatives
    left, right = edges[:, None, None], edges[:, None]
    centres = (np.arange(THUMBNAIL) + 0.5) / THUMBNAIL
    start, length = MARGIN + left, 1 - 2 * MARGIN - left - right
    position = (start + length * centres) * THUMBNAIL - 0.5
    distance = np.abs(position.clip(0, THUMBNAIL - 1)[..., None] - np.arange(THUMBNAIL))
    frequency = np.arange(WAVES)[:, None]
    waves = np.cos(np.pi * frequency * centres) @ np.clip(1 - distance, 0, None)
    inner = slice(1, -1)
    by_first, by_second = (waves[2:, inner] - waves[:-2, inner]) / 2, (waves[inner, 2:] - waves[inner, :-2]) / 2
    return waves[inner, inner].astype(np.float32), by_first.astype(np.float32), by_second.astype(np.float32)


def window_spectra(thumbnails: Array, edges: Array) -> Array:
    """Return the spectra float32 (n, 16, 16) of windows of thumbnails (n, 32, 32).

    `edges` int64 in steps are those of all of them (4,) or of each (n, 4).
    """
    left, right, top, bottom = np.asarray(edges).T + REACH
    waves = window_waves()[0]
    spectra: Array = waves[top, bottom] @ thumbnails @ np.swapaxes(waves[left, right], -1, -2)
    return spectra
