"""Features that describe what kind of picture an image is, computed from its pixels without a network.

    texture    how strong and how sparse the horizontal, vertical and diagonal detail is, one octave after the
               other: the bands of the Haar wavelet (Haar 1910, Mallat 1989), as logarithms
    tones      a histogram of brightness, square roots of the shares (Hellinger 1909)
    colours    means and deviations of red - green and of blue - yellow; none in grey images
    thumbnail  tones of 8 x 8 cells, each the mean of its pixels: the layout

Sums are of whole numbers or in float64, and no image is summed with another: an image has the same features
alone and in any batch.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from medray._types import Array

BINS, CELLS = 8, 8
SMALLEST = 4  # a side that is halved no further
FAINT = 1e-3  # of the white level: contrast below about a quarter of a grey level counts as none
PIXELS = 400_000  # of each channel, worked on at once: what fits a cache


def octaves(shape: tuple[int, int, int]) -> int:
    """Return how often an image of shape (H, W, C) is halved: 3 times at 28 x 28, 6 times at 224 x 224."""
    side, count = min(shape[:2]), 0
    while side >= SMALLEST:
        side, count = side // 2, count + 1
    return count


def statistic_count(shape: tuple[int, int, int]) -> int:
    """Return the number of statistics of texture, tones and colours for images of shape (H, W, C)."""
    return 6 * octaves(shape) + BINS + (4 if shape[2] == 3 else 0)


def thumbnail_size(shape: tuple[int, int, int]) -> int:
    """Return the number of values in a thumbnail for shape (H, W, C): 8 * 8 * C, fewer if it is smaller."""
    return min(shape[0], CELLS) * min(shape[1], CELLS) * shape[2]


def image_features(images: Array) -> tuple[Array, Array]:
    """Return the statistics, float64 (N, statistics), and the thumbnails, float64 (N, values) in 0..1.

    Takes uint8 `images` (N, H, W, C) and works through them in small parts, so that memory stays bounded.
    """
    shape = images.shape[1:]
    statistics = np.empty((len(images), statistic_count(shape)))
    small = np.empty((len(images), thumbnail_size(shape)))
    step = max(1, PIXELS // (shape[0] * shape[1]))
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        small[part] = _thumbnails(images[part])
        statistics[part] = np.concatenate(_statistics(images[part], small[part]), axis=1)
    return statistics, small


def _statistics(images: Array, thumbnails: Array) -> list[Array]:
    """Texture, tones and colours of uint8 images (N, H, W, C) and their thumbnails (N, values)."""
    channels = images.shape[3]
    grey = images[..., 0].astype(np.uint16)
    for channel in range(1, channels):
        grey += images[..., channel]
    statistics = [_texture(grey, 255 * channels), _tones(grey, channels)]
    if channels == 3:  # means and deviations over the cells of two opponent colours
        red, green, blue = np.moveaxis(thumbnails.reshape(len(thumbnails), -1, 3), 2, 0)
        opponents = np.stack([red - green, blue - (red + green) / 2], axis=1)
        statistics.append(np.concatenate([opponents.mean(axis=2), opponents.std(axis=2)], axis=1))
    return statistics


def _texture(grey: Array, white: int) -> Array:
    """Strength and sparseness of the three Haar bands of each octave of (N, H, W), (N, 6 * octaves).

    Strength is the logarithm of the mean size of a band's values, sparseness that of their root mean square
    over it: noise and an edge may be as strong, but the edge is at few places.
    """
    features = [np.empty((len(grey), 0))]
    for octave, bands in enumerate(_haar(grey)):
        pixels, scale = bands.shape[2], 2.0 * white * 4**octave  # a value here is made of 4**octave pixels' sums
        size = np.abs(bands, out=bands).sum(axis=2, dtype=np.float64) / (pixels * scale)
        square = np.square(bands, out=bands).sum(axis=2, dtype=np.float64) / (pixels * scale**2)
        strength = np.log(size + FAINT)
        features += [strength, np.log(np.sqrt(square) + FAINT) - strength]
    return np.concatenate(features, axis=1)


def _haar(grey: Array) -> Iterator[Array]:
    """Differences across, down and aslant in squares of 2 x 2, float32 (N, 3, squares), octave by octave.

    The next octave is of the squares' sums. A last odd row or column is left out.
    """
    level = grey.astype(np.int16)  # half the memory for the first and largest octave: sums are at most 4 * 765
    for _ in range(octaves((*grey.shape[1:], 1))):
        height, width = (side // 2 * 2 for side in level.shape[1:])
        top, bottom = level[:, 0:height:2, :width], level[:, 1:height:2, :width]
        added, differing = top + bottom, top - bottom
        left, right = added[:, :, 0::2], added[:, :, 1::2]
        left_drop, right_drop = differing[:, :, 0::2], differing[:, :, 1::2]
        level = (left + right).astype(np.float32)
        bands = np.empty((len(grey), 3, *level.shape[1:]), dtype=np.float32)
        bands[:, 0] = left - right
        bands[:, 1] = left_drop + right_drop
        bands[:, 2] = left_drop - right_drop
        yield bands.reshape(len(grey), 3, -1)


def _tones(grey: Array, channels: int) -> Array:
    """Square roots of the shares of pixels in 8 equal ranges of brightness, (N, 8), of 64 to 127 rows if large."""
    count, tones = len(grey), 256 * channels
    bins = grey[:, :: max(1, grey.shape[1] // 64)].reshape(count, -1) + tones * np.arange(count)[:, None]
    of_each = np.bincount(bins.ravel(), minlength=count * tones)
    shares: Array = of_each.reshape(count, BINS, -1).sum(axis=2) / bins.shape[1]
    return np.sqrt(shares)


def _thumbnails(images: Array) -> Array:
    """Return the 8 x 8 cells of uint8 images (N, H, W, C), means of their pixels: float64 (N, values) in 0..1."""
    rows, columns = (np.arange(min(side, CELLS) + 1) * side // min(side, CELLS) for side in images.shape[1:3])
    strips = [images[:, top:bottom].sum(axis=1, dtype=np.uint32) for top, bottom in pairwise(rows)]
    cells = np.add.reduceat(np.stack(strips, axis=1), columns[:-1], axis=2, dtype=np.uint32)
    area = np.diff(rows)[:, None] * np.diff(columns) * 255
    means: Array = (cells / area[..., None]).reshape(len(images), -1)
    return means
