"""Neighbours: the few images that each may be a changed copy of, and in which orientation.

All pairs are compared by few features of what the details of windows have in all eight orientations alike. These
are linear discriminants (Fisher 1936, Ann. Eugen. 7): of all directions those along which the images of the set
differ most, relative to how a shift or crop moves the same image. Chests that are aligned alike differ in other
details than retinas, so the features are learnt from each set, without labels.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from threadpoolctl import threadpool_limits

from medray._types import Array
from medray.data.similarity.perceptual_hash import ORIENTATION_NAMES, reorient, unit_vectors, weighted
from medray.data.similarity.windows import fill_corners, window_spectra

NEIGHBOURS = 16
FEATURES = 24
FREQUENCIES = 12  # the lowest, each way; finer ones would mislead the first steps of a fit
LEARNT_FROM = 1000  # images
NOISE = 0.1  # of the mean variance by changes, added to each: no direction is without
#: Windows that each image is compared by, edges in steps: the plain one, and windows resized or shifted by 4 %.
PROBES = np.array([(0, 0, 0, 0), *([edge] * 4 for edge in (-16, 16)),
                   *((x, -x, y, -y) for x in (-16, 16) for y in (-16, 16))])  # fmt: skip
#: Changes that images are compared in spite of: each edge of the plain window moved by 2.5 %, in all combinations.
CHANGES = np.array(list(product((-10, 10), repeat=4)))
FARTHEST = 500.0  # squared Mahalanobis distance by changes; of planted copies one in a thousand is farther
GROUP = 32  # columns
_ROWS, _COLUMNS = 64, 2048  # a tile of half a megabyte


@dataclass(frozen=True)
class Likeness:
    """What makes changed copies alike, learnt from a sample of the images.

    directions  float32 (156, FEATURES): of the features, in the invariants of details
    inverse     float32 (144, 144): of the covariance of changes, in details of all orientations
    """

    directions: Array
    inverse: Array

    @classmethod
    def learn(cls, thumbnails: Array) -> "Likeness":
        """Learn from thumbnails (n, 32, 32), at least one."""
        from scipy.linalg import eigh

        plain, *changed = (_details(thumbnails, edges) for edges in (PROBES[0], *CHANGES))
        features = detail_invariants(plain)
        between = features - features.mean(axis=0)
        within = _covariance(np.concatenate([detail_invariants(unit) - features for unit in changed]))
        directions = eigh(between.T @ between, within)[1][:, : -FEATURES - 1 : -1]
        differences = np.concatenate([unit - plain for unit in changed])
        turned = [reorient(differences, index) for index in range(len(ORIENTATION_NAMES))]
        inverse = np.linalg.inv(_covariance(np.concatenate(turned).reshape(-1, FREQUENCIES**2)))
        return cls(directions.astype(np.float32), inverse.astype(np.float32))

    def features(self, details: Array) -> Array:
        """Return the features float32 (n, FEATURES) of details (n, 12, 12)."""
        features: Array = detail_invariants(details) @ self.directions
        return features


def learning_sample(thumbnails: Array) -> Array:
    """Return LEARNT_FROM thumbnails (n, 32, 32) at even distances, or all where there are fewer."""
    count = len(thumbnails)
    sample: Array = thumbnails[np.linspace(0, count - 1, min(LEARNT_FROM, count)).astype(int)]
    return sample


def nearest_windows(thumbnails: Array) -> tuple[Array, Array, Array, Array]:
    """Find for each image i at most NEIGHBOURS among the images j > i, those that look most like windows of it.

    Takes at least one, uint8 (n, 32, 32), and returns i, j, orientation and the index in PROBES, int64 (p,) each:
    that window of i in that orientation is like the plain window of j.
    """
    learnt = Likeness.learn(learning_sample(thumbnails))
    parts = [thumbnails[start : start + 4096] for start in range(0, len(thumbnails), 4096)]
    details = np.concatenate([_details(part, PROBES[0]) for part in parts])
    plain = np.concatenate(
        [learnt.features(details[start : start + 4096]) for start in range(0, len(details), 4096)]
    )
    half = (plain**2).sum(axis=1, keepdims=True) / 2
    plain = np.concatenate([plain, np.ones_like(half), -half], axis=1)
    run = partial(_nearest_of_rows, thumbnails, learnt, details, plain)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        columns = list(pool.map(run, range(0, len(thumbnails), _ROWS)))
    first, second, orientation, probe = np.concatenate(columns, axis=1)
    return first, second, orientation, probe


def _nearest_of_rows(thumbnails: Array, learnt: Likeness, details: Array, plain: Array, start: int) -> Array:
    """Return i, j, orientation and the index of the probe, int64 (4, p), for _ROWS images i."""
    windows = np.stack([_details(thumbnails[start : start + _ROWS], edges) for edges in PROBES])
    likeness = _likeness_to_later(np.stack([learnt.features(unit) for unit in windows]), plain, start)
    nearest = largest_of_rows(likeness, NEIGHBOURS)
    valid = np.take_along_axis(likeness, nearest, axis=1) > -np.inf
    nearest = np.where(valid, nearest + start, start)
    orientation, probe, distance = _orientations(windows, details[nearest], learnt.inverse)
    valid &= distance <= FARTHEST
    i = np.broadcast_to(np.arange(len(nearest))[:, None] + start, nearest.shape)
    return np.stack([column[valid] for column in (i, nearest, orientation, probe)])


def _likeness_to_later(rows: Array, plain: Array, start: int) -> Array:
    """Return how alike the images from `start` on are to those from there to the last, float32 (n, m).

    It is minus half the squared distance of the nearest of an image's windows, or -inf for an image itself, those
    before it, and the columns that make m a multiple of GROUP. Takes features of windows (probes, n, d), and plain
    features with their squares, as `nearest_windows` joins them.
    """
    half = (rows**2).sum(axis=2, keepdims=True) / 2
    rows = np.concatenate([rows, -half, np.ones_like(half)], axis=2)
    count, later = rows.shape[1], len(plain) - start
    likeness = np.full((count, -(-later // GROUP) * GROUP), -np.inf, np.float32)
    for left in range(0, later, _COLUMNS):
        columns = plain[start + left : start + left + _COLUMNS].T
        best = rows[0] @ columns
        product = np.empty_like(best)
        for row in rows[1:]:
            np.matmul(row, columns, out=product)
            np.maximum(best, product, out=best)
        likeness[:, left : left + best.shape[1]] = best
    likeness[:, :count][np.tri(count, dtype=bool)] = -np.inf
    return likeness


def _orientations(windows: Array, others: Array, inverse: Array) -> tuple[Array, Array, Array]:
    """Return which window of an image is nearest to each of k others, (n, k): orientation, probe and distance.

    Takes details of windows (probes, n, s, s) and of others (n, k, s, s), and the inverse of a covariance that is
    the same in all orientations; the distance is squared.
    """
    probes, count, side, _ = windows.shape
    orientations = range(len(ORIENTATION_NAMES))
    turned = np.stack([reorient(windows.reshape(-1, side, side), index) for index in orientations])
    turned = turned.reshape(-1, count, side * side).transpose(1, 2, 0)
    flat, others = windows.reshape(probes, count, side * side), others.reshape(count, -1, side * side)
    length, weighed = ((flat @ inverse) * flat).sum(axis=2), others @ inverse
    distance = np.tile(length.T, len(orientations))[:, None] - 2 * weighed @ turned
    orientation, probe = np.divmod(distance.argmin(axis=2), probes)
    return orientation, probe, distance.min(axis=2) + (weighed * others).sum(axis=2)


def largest_of_rows(values: Array, count: int) -> Array:
    """Return the columns int64 (n, count) of the largest values (n, m) of each row, in any order.

    m is a multiple of GROUP. All columns are returned where m is less than count. A row's largest values lie in
    its groups of largest maxima, so that few columns need to be put in order.
    """
    groups = values.shape[1] // GROUP
    best = _argpartition(values.reshape(len(values), GROUP, groups).max(axis=1), count)
    columns = (best[:, None] + groups * np.arange(GROUP)[:, None]).reshape(len(values), -1)
    largest = _argpartition(np.take_along_axis(values, columns, axis=1), count)
    return np.take_along_axis(columns, largest, axis=1)


def _argpartition(values: Array, count: int) -> Array:
    """Return the columns of the `count` largest values (n, m) of each row, or all where there are fewer."""
    count = min(count, values.shape[1])
    return np.argpartition(values, -count, axis=1)[:, -count:]


def _details(thumbnails: Array, edges: Array) -> Array:
    """Return the details float32 (n, 12, 12) of a window of each image."""
    return unit_vectors(weighted(window_spectra(fill_corners(thumbnails), edges)[:, :FREQUENCIES, :FREQUENCIES]))


def detail_invariants(unit: Array) -> Array:
    """Return what details (n, 12, 12) have in all orientations, float32 (n, 156).

    Of two coefficients that transposing exchanges, an orientation changes both signs or none where their
    frequencies are both odd or both even, and either sign where not.
    """
    row, column = np.triu_indices(FREQUENCIES)
    one, other = unit[:, row, column], unit[:, column, row]
    sums, differences = np.abs(one + other), np.abs(one - other)
    either = (row + column) % 2 == 1
    high, low = np.maximum(sums, differences), np.minimum(sums, differences)
    return np.concatenate([np.where(either, high, sums), np.where(either, low, differences)], axis=1)


def _covariance(differences: Array) -> Array:
    """Return the covariance float64 (d, d) of differences (m, d) around zero, with NOISE."""
    covariance: Array = (differences.T @ differences / len(differences)).astype(float)
    covariance += (NOISE * np.trace(covariance) / len(covariance) + 1e-12) * np.eye(len(covariance))
    return covariance
