"""Pairs of one image that two data sets have prepared differently: stretched here, cropped to its centre there.

`find_duplicates` looks for crops of a few per cent within one data set. The centre square of an ultrasound is far
less than that of an image that another set has stretched to a square or padded.
"""

import numpy as np

from medray._types import Array
from medray.data.similarity.duplicates import MOST_PAIRS
from medray.data.similarity.measures import THUMBNAIL
from medray.data.similarity.perceptual_hash import (
    common_details,
    spectra,
    unit_vectors,
    weighted,
    without_common,
)
from medray.errors import DataError

SHARES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)  # of one side that is left, the same on both ends
CORRELATION = 0.984  # as of fitted windows in `duplicates`
CHUNK = 512  # images

#: What is looked for beside near-duplicates, in the words of reports.
LOOKED_FOR = "crops of one side to its centre down to 60 %"


def centre_cropped_pairs(first: Array, second: Array) -> tuple[Array, Array]:
    """Return the pairs i, j, int64 (p,) each, where one image is a centre crop of the other.

    Takes thumbnails uint8 (n, 32, 32) and (m, 32, 32) of two data sets, which are compared with each other. Of 780
    ultrasounds at 28 pixels whose other set was cropped by 5 to 40 %, 98 % are paired, and no others.

    Raises:
        DataError: millions of images look the same.
    """
    forth, back = _cropped_in(first, second), _cropped_in(second, first)
    pairs = {*zip(*forth, strict=True), *((i, j) for j, i in zip(*back, strict=True))}
    ordered = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return ordered[:, 0], ordered[:, 1]


def _cropped_in(first: Array, second: Array) -> tuple[list[int], list[int]]:
    """Return the pairs of an image of `first` of which one of `second` is a centre crop."""
    others = unit_vectors(weighted(spectra(second)))
    common = common_details(others)
    targets = without_common(others, common).reshape(len(second), -1)
    i, j = [], []
    for start in range(0, len(first), CHUNK):
        part = first[start : start + CHUNK].astype(np.float32)
        for share in SHARES:
            window = _window(share)
            for cropped in (window @ part, part @ window.T):
                details = without_common(unit_vectors(weighted(spectra(cropped))), common)
                rows, columns = np.nonzero(details.reshape(len(part), -1) @ targets.T >= CORRELATION)
                i += (rows + start).tolist()
                j += columns.tolist()
                if len(i) > MOST_PAIRS:
                    raise DataError(f"more than {MOST_PAIRS} pairs of images look the same")
    return i, j


def _window(share: float) -> Array:
    """Return the matrix (32, 32) that stretches the centre `share` of a line of pixels to the whole line."""
    pixels = np.arange(THUMBNAIL)
    centre = (THUMBNAIL - 1) / 2
    sources = centre + (pixels - centre) * share
    low = np.floor(sources).astype(int).clip(0, THUMBNAIL - 2)
    window = np.zeros((THUMBNAIL, THUMBNAIL), dtype=np.float32)
    window[pixels, low] = 1 - (sources - low)
    window[pixels, low + 1] = sources - low
    return window
