"""Neighbours: features are alike in all orientations, and the nearest images are those of brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.similarity.measures import measure, shrink
from medray.data.similarity.neighbours import (
    CHANGES,
    GROUP,
    NEIGHBOURS,
    PROBES,
    detail_invariants,
    largest_of_rows,
    nearest_windows,
)
from medray.data.similarity.perceptual_hash import ORIENTATION_NAMES, reorient
from medray.data.similarity.registration import reorient_edges, reorient_images
from medray.data.similarity.windows import window_spectra
from tests.audit.audit_samples import blobs
from tests.data.similarity.changed_copies import shifted


def test_invariants_are_the_same_in_all_orientations_and_differ_between_images() -> None:
    details = np.random.default_rng(0).normal(size=(20, 12, 12)).astype(np.float32)
    upright = detail_invariants(details)
    for index in range(len(ORIENTATION_NAMES)):
        np.testing.assert_allclose(detail_invariants(reorient(details, index)), upright, atol=1e-6)
    details[:, 1, 3] *= -1  # and not that of (3, 1): what no orientation does
    assert (np.abs(detail_invariants(details) - upright).max(axis=1) > 1e-3).all()


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_the_largest_of_rows_are_those_of_sorting(seed: int, rows: int, groups: int, count: int) -> None:
    values = np.random.default_rng(seed).integers(0, 40, (rows, groups * GROUP)).astype(np.float32)
    columns = largest_of_rows(values, count)
    assert all(len(set(row)) == count for row in columns.tolist())
    largest = np.sort(np.take_along_axis(values, columns, axis=1), axis=1)
    np.testing.assert_array_equal(largest, np.sort(values, axis=1)[:, -count:])


@pytest.mark.parametrize("orientation", range(len(ORIENTATION_NAMES)))
def test_edges_are_reoriented_as_the_images_are(orientation: int) -> None:
    images = measure(shrink(blobs(len(CHANGES))))["thumbnail"].astype(np.float32)
    edges = CHANGES + np.arange(4)  # no two edges are alike
    which = np.full(len(edges), orientation)
    turned = window_spectra(reorient_images(images, which), reorient_edges(edges, which))
    np.testing.assert_allclose(turned, reorient(window_spectra(images, edges), orientation), atol=0.5)


def test_each_image_has_later_neighbours_and_a_copy_is_among_them_in_its_orientation() -> None:
    images = blobs(200, seed=5)
    images[150] = shifted(images[3, :, ::-1], 0.04)
    first, second, orientation, probe = nearest_windows(measure(shrink(images))["thumbnail"])
    assert (first < second).all()
    assert np.bincount(first).max() <= NEIGHBOURS
    (pair,) = np.flatnonzero((first == 3) & (second == 150))
    assert ORIENTATION_NAMES[orientation[pair]] == "mirrored left-right"
    assert PROBES[probe[pair]].tolist() == [16, -16, -16, 16], "further right before it is mirrored, and up"
