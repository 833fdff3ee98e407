"""Neighbours: the few images that each may be a changed copy of, by features that such changes hardly alter.

The features are linear discriminants (Fisher 1936, Ann. Eugen. 7): of all directions among the details of windows
those along which the images of the set differ most, relative to how a shift or crop moves the same image. Chests
that are aligned alike differ in other details than retinas, so they are learnt from each set, without labels.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from medray._types import Array
from medray.data.similarity.perceptual_hash import ORIENTATION_NAMES, reorient, unit_vectors, weighted
from medray.data.similarity.windows import window_spectra

NEIGHBOURS = 6
FEATURES = 24
FREQUENCIES = 12  # the lowest, each way
LEARNT_FROM = 1000  # images
NOISE = 0.03  # of the mean variance by changes, added to each: no direction is without
SHIFT = 12  # steps, 3 %: half of what is looked for
#: Windows that each image is compared by, and changes that features should ignore: edges in steps.
PROBES = np.array([(0, 0, 0, 0), *((x, -x, y, -y) for x in (-SHIFT, SHIFT) for y in (-SHIFT, SHIFT))])
CHANGES = np.array(
    [(12, 0, 0, 0), (8, -8, 0, 0), (8, -8, 8, -8), (16, 16, 0, 0), (16, 16, 16, 16), (-16, -16, -16, -16)]
)
_ROWS, _COLUMNS = 64, 2048  # a tile of half a megabyte


def nearest_windows(thumbnails: Array) -> tuple[Array, Array, Array, Array]:
    """Find for each image i the NEIGHBOURS among the images j > i that look most like windows of it.

    Takes at least one, float32 (n, 32, 32), and returns i, j, orientation and the index in PROBES, int64 (p,)
    each: the window of i in that orientation is like the plain window of j. All pairs are compared, in tiles.
    """
    sample = thumbnails[np.linspace(0, len(thumbnails) - 1, min(LEARNT_FROM, len(thumbnails))).astype(int)]
    base = _details(sample, PROBES[0])
    directions = _discriminants(base, np.concatenate([_details(sample, edges) - base for edges in CHANGES]))
    plain = _features(thumbnails, directions, PROBES[:1], 1)[0]
    half = (plain**2).sum(axis=1, keepdims=True) / 2
    plain = np.concatenate([plain, np.ones_like(half), -half], axis=1)
    run = partial(_nearest_of_rows, thumbnails, directions, plain)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(run, range(0, len(thumbnails), _ROWS)))
    first, second, probe = np.concatenate(parts, axis=1)
    return first, second, probe % len(ORIENTATION_NAMES), probe // len(ORIENTATION_NAMES)


def _nearest_of_rows(thumbnails: Array, directions: Array, plain: Array, start: int) -> Array:
    """Return i, j and the index of the probe and orientation, int64 (3, p), for _ROWS images i."""
    rows = _features(thumbnails[start : start + _ROWS], directions, PROBES, len(ORIENTATION_NAMES))
    half = (rows**2).sum(axis=2, keepdims=True) / 2
    rows = np.concatenate([rows, -half, np.ones_like(half)], axis=2)
    # Its product with the plain features is minus half the squared distance.
    likeness = np.empty((rows.shape[1], len(plain) - start), np.float32)
    for left in range(start, len(plain), _COLUMNS):
        columns = plain[left : left + _COLUMNS].T
        best = rows[0] @ columns
        product = np.empty_like(best)
        for row in rows[1:]:
            np.matmul(row, columns, out=product)
            np.maximum(best, product, out=best)
        likeness[:, left - start : left - start + _COLUMNS] = best
    likeness[np.tri(*likeness.shape, dtype=bool)] = -np.inf
    count = min(NEIGHBOURS, likeness.shape[1])
    nearest = np.argpartition(likeness, -count, axis=1)[:, -count:]
    later = nearest > np.arange(len(nearest))[:, None]
    probe = np.einsum("prd,rcd->rcp", rows, plain[nearest + start]).argmax(axis=2)
    i = np.broadcast_to(np.arange(len(nearest))[:, None], nearest.shape)
    return np.stack([i[later] + start, nearest[later] + start, probe[later]])


def _features(thumbnails: Array, directions: Array, probes: Array, orientations: int) -> Array:
    """Return the features float32 (probes * orientations, n, FEATURES) of windows of images."""
    parts = []
    for edges in probes:
        unit = _details(thumbnails, edges)
        parts += [reorient(unit, index).reshape(len(unit), -1) @ directions for index in range(orientations)]
    return np.stack(parts)


def _details(thumbnails: Array, edges: Array) -> Array:
    """Return the details float32 (n, 12, 12) of a window of each image."""
    return unit_vectors(weighted(window_spectra(thumbnails, edges)[:, :FREQUENCIES, :FREQUENCIES]))


def _discriminants(unit: Array, differences: Array) -> Array:
    """Return directions float32 (s * s, FEATURES) along which images (n, s, s) differ most, by how little the
    changes (m, s, s) of an image go along them."""
    from scipy.linalg import eigh

    orientations = range(len(ORIENTATION_NAMES))
    images = [reorient(unit, index).reshape(len(unit), -1) for index in orientations]
    changes = [reorient(differences, index).reshape(len(differences), -1) for index in orientations]
    mean = np.mean([part.mean(axis=0) for part in images], axis=0)
    between = np.sum([(part - mean).T @ (part - mean) for part in images], axis=0) / len(unit)
    within = np.sum([part.T @ part for part in changes], axis=0) / len(differences)
    within += (NOISE * np.trace(within) / len(within) + 1e-12) * np.eye(len(within))
    directions: Array = eigh(between.astype(float), within.astype(float))[1][:, : -FEATURES - 1 : -1]
    return directions.astype(np.float32)
