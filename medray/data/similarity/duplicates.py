"""Copies: images that are the same picture, byte for byte or nearly, in whatever orientation.

Near ones are found in two steps. Hashes that differ in few bits make candidates; every pair is compared, in tiles
that fit into a processor's cache. A candidate is a copy where the details of the two correlate, in the same
orientation: hashes alone would call all chests alike. What is not found: crops, small turns, and copies compressed
again of images without any detail, of which compression leaves other hashes.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np

from medray._types import Array
from medray.data.similarity.measures import Measures
from medray.data.similarity.perceptual_hash import NAMES, details, hashes, spectra, turned
from medray.errors import DataError

BITS = 12  # of 63 that may differ
CORRELATION, SMALL_CORRELATION = 0.97, 0.94  # the latter where one of the two is small
SMALL = 40  # pixels of the shorter side: resizing and compression leave less of such images
FLAT = 1.0  # grey levels: an image of less contrast shows nothing that could be compared
MOST_PAIRS = 5_000_000
_ROWS, _COLUMNS = 64, 4096  # a tile of 2 MB


@dataclass(frozen=True)
class Copies:
    """Which images are copies.

    Images with the same bytes have the same number in `content` int64 (n,), -1 where it can't be read.
    `first` and `second` int64 (p,) are the first images of contents that are nearly the same, `orientation` int64
    (p,) says by its number in NAMES how the first must be turned to give the second, and `correlation` is that of
    their details.
    """

    content: Array
    first: Array
    second: Array
    orientation: Array
    correlation: Array

    def __len__(self) -> int:
        return len(self.first)


def find_copies(measures: Measures) -> Copies:
    """Find identical images, and nearly identical ones: turned, mirrored, resized or compressed again.

    Raises:
        DataError: there are millions of near pairs: no list of them would be of use.
    """
    content = _contents(measures)
    _, first_of = np.unique(content, return_index=True)
    seen = measures.readable[first_of] & (measures.contrast[first_of] >= FLAT)
    chosen = np.sort(first_of[seen])
    spectrum = spectra(measures.thumbnail[chosen])
    first, second, orientation = near_pairs(hashes(spectrum), BITS)
    alike = correlations(details(spectrum), first, second, orientation)
    side = np.minimum(measures.height, measures.width)[chosen]
    least = np.where(np.minimum(side[first], side[second]) < SMALL, SMALL_CORRELATION, CORRELATION)
    first, second, orientation, alike = _best(first, second, orientation, alike, alike >= least)
    return Copies(content, chosen[first], chosen[second], orientation, alike)


def near_pairs(hashed: Array, bits: int) -> tuple[Array, Array, Array]:
    """Find i < j and orientation o, int64 (p,) each, where two hashes differ in at most `bits`.

    Takes hashes uint64 (8, n); i is in orientation o and j is as it is. All pairs are compared.

    Raises:
        DataError: there are more than five million.
    """
    count = hashed.shape[1]
    starts = [(i, j) for i, j in product(range(0, count, _ROWS), range(0, count, _COLUMNS)) if j + _COLUMNS > i]
    found, total = [], 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets go of the interpreter in each step
        for part in _in_order(pool, hashed, bits, starts):
            found.append(part)
            total += part.shape[1]
            if total > MOST_PAIRS:
                raise DataError(
                    f"more than {MOST_PAIRS} pairs of images look the same; look at a part of them first"
                )
    i, j, orientation = np.concatenate([np.empty((3, 0), np.int64), *found], axis=1)
    return i, j, orientation


def _in_order(
    pool: ThreadPoolExecutor, hashed: Array, bits: int, starts: list[tuple[int, int]]
) -> Iterator[Array]:
    """The tiles' pairs; so many tiles at once that too many pairs end the search early."""
    for begin in range(0, len(starts), 256):
        yield from pool.map(lambda corner: _tile(hashed, bits, *corner), starts[begin : begin + 256])


def _tile(hashed: Array, bits: int, top: int, left: int) -> Array:
    """Pairs int64 (3, p) of one tile: i, j and orientation."""
    columns = hashed[0, left : left + _COLUMNS]
    found = []
    for orientation, own in enumerate(hashed[:, top : top + _ROWS]):
        flat = np.flatnonzero(
            np.bitwise_count(own[:, None] ^ columns) <= bits
        )  # in two dimensions it takes thrice
        i, j = flat // len(columns) + top, flat % len(columns) + left
        after = i < j
        found.append(np.stack([i[after], j[after], np.full(after.sum(), orientation)]))
    return np.concatenate(found, axis=1)


def correlations(unit: Array, first: Array, second: Array, orientation: Array) -> Array:
    """Correlate the details (n, s, s) of the images `first`, so turned, with those of `second`, float32 (p,)."""
    found = np.empty(len(first), np.float32)
    for number in range(len(NAMES)):
        own = np.flatnonzero(orientation == number)
        for start in range(0, len(own), 8192):
            rows = own[start : start + 8192]
            found[rows] = (turned(unit[first[rows]], number) * unit[second[rows]]).sum(axis=(1, 2))
    return found


def _best(first: Array, second: Array, orientation: Array, alike: Array, enough: Array) -> tuple[Array, ...]:
    """Keep pairs that correlate enough, each once, in the orientation in which they do most."""
    order = np.lexsort((orientation, -alike, second, first))
    order = order[enough[order]]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)
    kept = order[new]
    return first[kept], second[kept], orientation[kept], alike[kept]


def _contents(measures: Measures) -> Array:
    """A number for each content, in the order in which they come; -1 for what can't be read."""
    _, first, inverse = np.unique(measures.sha256, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    content: Array = number[inverse]
    content[~measures.readable] = -1
    return content
