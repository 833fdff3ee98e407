"""Registration: fit a window of one image to another image, then compare the two.

Gauss-Newton steps, as Lucas and Kanade (1981, IJCAI) take, find the shift and the size of the window along either
axis, by the details of both images.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from medray._types import Array
from medray.data.similarity.neighbours import FREQUENCIES, PROBES, learning_sample, nearest_windows
from medray.data.similarity.perceptual_hash import (
    ORIENTATION_NAMES,
    ORIENTATIONS,
    common_details,
    unit_vectors,
    weighted,
    without_common,
)
from medray.data.similarity.windows import REACH, fill_corners, window_spectra, window_waves

#: Correlations after so many steps below which a pair is given up; no planted copy was lost by it.
GIVE_UP = (-1.0, 0.5, 0.8, 0.9, 0.9)
LONGEST_STEP = 12  # steps of an edge: 3 % of the side
DAMPING = 1e-3
CHUNK = 512  # pairs


def registered_pairs(thumbnails: Array) -> tuple[Array, Array, Array, Array]:
    """Return the images that may be cropped, shifted or marked copies of one another, and how alike they are.

    Takes thumbnails uint8 (n, 32, 32); returns i < j and orientation, int64 (p,), and the correlation float32 (p,)
    of the details of the best window of i, in that orientation, with those of the plain window of j.
    """
    if len(thumbnails) < 2:
        return tuple(np.empty(0, kind) for kind in (np.int64, np.int64, np.int64, np.float32))  # type: ignore[return-value]
    first, second, orientation, probe = nearest_windows(thumbnails)
    plain = window_spectra(fill_corners(learning_sample(thumbnails)), PROBES[0])
    common = common_details(unit_vectors(weighted(plain)))
    run = partial(_register, thumbnails, common, first, second, orientation, PROBES[probe])
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        chunks = pool.map(run, (slice(start, start + CHUNK) for start in range(0, len(first), CHUNK)))
        parts = [(np.empty(0, np.int64), np.empty(0, np.float32)), *chunks]
    pairs, correlation = map(np.concatenate, zip(*parts, strict=True))
    return first[pairs], second[pairs], orientation[pairs], correlation


def _register(
    thumbnails: Array, common: Array, first: Array, second: Array, orientation: Array, edges: Array, chunk: slice
) -> tuple[Array, Array]:
    """Fit the windows of a chunk of pairs: return those that were not given up, and their correlations."""
    images, others = fill_corners(thumbnails[first[chunk]]), fill_corners(thumbnails[second[chunk]])
    images = reorient_images(images, orientation[chunk])
    kept, fitted = fit_windows(images, others, reorient_edges(edges[chunk], orientation[chunk]))
    unit, target = (
        without_common(unit_vectors(weighted(spectrum)), common)
        for spectrum in (window_spectra(images[kept], fitted), window_spectra(others[kept], PROBES[0]))
    )
    return kept + chunk.start, (unit * target).sum(axis=(1, 2))


def fit_windows(images: Array, others: Array, edges: Array) -> tuple[Array, Array]:
    """Fit windows of images to the plain windows of others, float32 (p, 32, 32), from edges int64 (p, 4) on.

    Returns the pairs int64 (q,) that were not given up, and the edges (q, 4) of their windows.
    """
    plain = window_waves()[0][REACH, REACH, :FREQUENCIES]
    target = unit_vectors(weighted(plain @ others @ plain.T))
    pairs, best, highest = np.arange(len(images)), edges.copy(), np.full(len(images), -1.0, np.float32)
    for least in GIVE_UP:
        spectrum, slopes = _window_slopes(images[pairs], edges)
        correlation = (unit_vectors(spectrum) * target).sum(axis=(1, 2))
        better = correlation > highest
        best[better], highest[better] = edges[better], correlation[better]
        kept = highest >= least
        pairs, best, highest, edges, target = pairs[kept], best[kept], highest[kept], edges[kept], target[kept]
        steps = _steps(spectrum[kept], slopes[kept], target)
        edges = (edges + steps).clip(-REACH, REACH)
    return pairs, best


def _window_slopes(images: Array, edges: Array) -> tuple[Array, Array]:
    """Return the weighted spectra (p, 12, 12) of windows, and their slopes (p, 4, 12, 12) by each edge."""
    left, right, top, bottom = edges.T + REACH
    waves, by_first, by_second = (table[:, :, :FREQUENCIES] for table in window_waves())
    across, down = waves[left, right].transpose(0, 2, 1), waves[top, bottom]
    rows, columns = down @ images, images @ across
    slopes = [rows @ table[left, right].transpose(0, 2, 1) for table in (by_first, by_second)]
    slopes += [table[top, bottom] @ columns for table in (by_first, by_second)]
    return weighted(rows @ across), weighted(np.stack(slopes, axis=1))


def _steps(spectrum: Array, slopes: Array, target: Array) -> Array:
    """Return the steps int64 (p, 4) of the edges that bring spectra (p, s, s) nearest to multiples of the target.

    The least squares of spectrum + steps * slopes - factor * target, for slopes (p, 4, s, s).
    """
    columns = np.concatenate([slopes, target[:, None]], axis=1).reshape(len(target), 5, FREQUENCIES**2)
    products = columns @ columns.transpose(0, 2, 1)
    products *= 1 + DAMPING * np.eye(5, dtype=np.float32)
    products += 1e-6 * np.eye(5, dtype=np.float32)  # an image without details has no slopes
    right = -(columns @ spectrum.reshape(len(target), FREQUENCIES**2, 1))
    steps = np.linalg.solve(products, right)[:, :4, 0]
    return np.rint(steps).clip(-LONGEST_STEP, LONGEST_STEP).astype(np.int64)


def reorient_images(images: Array, orientation: Array) -> Array:
    """Return images (p, s, s), each in the orientation (p,) of that index in ORIENTATION_NAMES."""
    result = np.empty_like(images)
    for index, name in enumerate(ORIENTATION_NAMES):
        rows = np.flatnonzero(orientation == index)
        transposed, upside_down, mirrored = ORIENTATIONS[name]
        part = images[rows].transpose(0, 2, 1) if transposed else images[rows]
        result[rows] = part[:, :: -1 if upside_down else 1, :: -1 if mirrored else 1]
    return result


def reorient_edges(edges: Array, orientation: Array) -> Array:
    """Return the edges (p, 4) of the same windows in images that were reoriented."""
    result = np.empty_like(edges)
    for index, name in enumerate(ORIENTATION_NAMES):
        rows = np.flatnonzero(orientation == index)
        transposed, upside_down, mirrored = ORIENTATIONS[name]
        left, right, top, bottom = edges[rows].T[[2, 3, 0, 1] if transposed else [0, 1, 2, 3]]
        across = (right, left) if mirrored else (left, right)
        down = (bottom, top) if upside_down else (top, bottom)
        result[rows] = np.stack([*across, *down], axis=1)
    return result
