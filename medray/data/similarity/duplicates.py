"""Duplicates: images that are the same picture, byte for byte or nearly, in any of eight orientations.

Near-duplicates are found in two ways. Hashes that differ in few bits make candidates; every pair is compared, in
tiles that fit into a processor's cache. A candidate is a near-duplicate where the details of the two images
correlate in the same orientation: hashes alone would match all chests with one another. And each image is compared
with the few that look most like a part of it, after its best window was fitted to each: so copies are found that
were cropped or shifted by up to 5 %, or marked in a corner. A fitted window must correlate more highly, that of a
small image most highly. Not looked for: larger crops, crops of images below 24 pixels, rotations by a few degrees,
marks elsewhere. Missed at times: recompressed images without detail, whose hashes compression changes.
`benchmarks/near_duplicates.py` measures it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from medray._types import Array
from medray.data.similarity.measures import Measures
from medray.data.similarity.perceptual_hash import ORIENTATION_NAMES, details, hashes, reorient, spectra
from medray.data.similarity.registration import registered_pairs
from medray.errors import DataError

#: What is looked for, in the words of reports; `docs/data.md` says how many of these copies are found.
LOOKED_FOR = (
    "identical images, and copies that were resized, recompressed, mirrored or turned by quarters; in images of "
    "24 pixels or more also copies cropped or shifted by up to 5 %, or marked in a corner"
)
BITS = 12  # of 63 that may differ
CORRELATION, SMALL_CORRELATION = 0.97, 0.94  # the latter where one of the two is small
#: Of fitted windows; the latter where one of the two is small, and shrinking left little that could differ. Of
#: 499,500 pairs of chest films 1 or 2 have more, at six sizes from 24 to 64 pixels: of one patient, taken alike.
REGISTERED, SMALL_REGISTERED = 0.984, 0.988
LEAST_SIDE = 24  # pixels: windows of smaller images have too few details, so that different images match
SMALL = 40  # pixels of the shorter side: resizing and compression leave less of such images
FLAT = 1.0  # grey levels: an image of less contrast shows nothing that could be compared
MOST_PAIRS = 5_000_000
_ROWS, _COLUMNS = 64, 4096  # a tile of 2 MB
_TILES = 256  # submitted at once, so that too many pairs end the search early


@dataclass(frozen=True)
class Duplicates:
    """Which of n images are duplicates, and the p pairs of near-duplicates.

    content      int64 (n,): equal for images of the same bytes, numbered as they appear; -1 for unreadable
    first        int64 (p,): the first image of a content
    second       int64 (p,): the first image of another content that is nearly the same
    orientation  int64 (p,): the index in ORIENTATION_NAMES of what turns the first into the second
    correlation  float32 (p,): of the details of the two, or of a window of the first and the second
    """

    content: Array
    first: Array
    second: Array
    orientation: Array
    correlation: Array

    def __len__(self) -> int:
        return len(self.first)


def find_duplicates(measures: Measures) -> Duplicates:
    """Find identical images and near-duplicates, in any of eight orientations.

    These are resized, recompressed, cropped or shifted a little, or marked in a corner.

    Raises:
        DataError: there are millions of pairs of near-duplicates: no list of them would be of use.
    """
    content = _number_contents(measures)
    _, first_of = np.unique(content, return_index=True)
    comparable = measures.readable[first_of] & (measures.contrast[first_of] >= FLAT)
    images = np.sort(first_of[comparable])
    thumbnails = measures.thumbnail[images]
    side = np.minimum(measures.height, measures.width)[images]
    small = side < SMALL
    by_hash = _pairs_by_hash(thumbnails, small)
    large = np.flatnonzero(side >= LEAST_SIDE)
    first, second, orientation, correlation = registered_pairs(thumbnails[large])
    first, second = large[first], large[second]
    new = correlation >= np.where(small[first] | small[second], SMALL_REGISTERED, REGISTERED)
    new &= ~np.isin(first * len(images) + second, by_hash[0] * len(images) + by_hash[1])
    registered = (first[new], second[new], orientation[new], correlation[new])
    first, second, orientation, correlation = map(np.concatenate, zip(by_hash, registered, strict=True))
    return Duplicates(content, images[first], images[second], orientation, correlation)


def _pairs_by_hash(thumbnails: Array, small: Array) -> tuple[Array, Array, Array, Array]:
    """Return i < j, orientation and correlation (p,) of near-duplicates that are neither cropped nor marked."""
    spectrum = spectra(thumbnails)
    first, second, orientation = near_pairs(hashes(spectrum), BITS)
    correlation = correlations(details(spectrum), first, second, orientation)
    least = np.where(small[first] | small[second], SMALL_CORRELATION, CORRELATION)
    # Keep each pair that correlates enough once, in the orientation of the highest correlation.
    order = np.lexsort((orientation, -correlation, second, first))
    order = order[(correlation >= least)[order]]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)
    kept = order[new]
    return first[kept], second[kept], orientation[kept], correlation[kept]


def near_pairs(hashed: Array, bits: int) -> tuple[Array, Array, Array]:
    """Find i < j and orientation o, int64 (p,) each, where two hashes differ in at most `bits`.

    Takes hashes uint64 (8, n); i is in orientation o and j is upright. All pairs are compared.

    Raises:
        DataError: there are more than five million.
    """
    count = hashed.shape[1]
    corners = [(i, j) for i, j in product(range(0, count, _ROWS), range(0, count, _COLUMNS)) if j + _COLUMNS > i]
    parts, total = [np.empty((3, 0), np.int64)], 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets go of the interpreter in each step
        for start in range(0, len(corners), _TILES):
            for pairs in pool.map(partial(_near_pairs_of_tile, hashed, bits), corners[start : start + _TILES]):
                parts.append(pairs)
                total += pairs.shape[1]
                if total > MOST_PAIRS:
                    raise DataError(
                        f"more than {MOST_PAIRS} pairs of images look the same; look at a part of them first"
                    )
    i, j, orientation = np.concatenate(parts, axis=1)
    return i, j, orientation


def _near_pairs_of_tile(hashed: Array, bits: int, corner: tuple[int, int]) -> Array:
    """Return the pairs int64 (3, p) of one tile: i, j and orientation."""
    top, left = corner
    columns = hashed[0, left : left + _COLUMNS]
    parts = []
    for orientation, rows in enumerate(hashed[:, top : top + _ROWS]):
        near = np.bitwise_count(rows[:, None] ^ columns) <= bits
        flat = np.flatnonzero(near)  # in two dimensions it takes three times as long
        i, j = flat // len(columns) + top, flat % len(columns) + left
        ordered = i < j
        parts.append(np.stack([i[ordered], j[ordered], np.full(ordered.sum(), orientation)]))
    return np.concatenate(parts, axis=1)


def correlations(unit: Array, first: Array, second: Array, orientation: Array) -> Array:
    """Correlate the reoriented details (n, s, s) of the images `first` with those of `second`, float32 (p,)."""
    result = np.empty(len(first), np.float32)
    for index in range(len(ORIENTATION_NAMES)):
        pairs = np.flatnonzero(orientation == index)
        for start in range(0, len(pairs), 8192):
            rows = pairs[start : start + 8192]
            result[rows] = (reorient(unit[first[rows]], index) * unit[second[rows]]).sum(axis=(1, 2))
    return result


def _number_contents(measures: Measures) -> Array:
    """Number the contents int64 (n,) as they first appear; -1 for what can't be read."""
    _, first, inverse = np.unique(measures.sha256, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    content: Array = number[inverse]
    content[~measures.readable] = -1
    return content
