"""Families: copies, in whatever orientation, and patients, joined over any number of steps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.audit.audit import find_leaks
from medray.data.dataset import ImageDataset
from medray.data.folds import make_folds
from medray.data.phantoms import load_phantom
from medray.data.similarity.groups import copy_families, families


@pytest.fixture(scope="module")
def drawn() -> Array:
    return load_phantom("organs").images[:60]


def as_dataset(images: Array, groups: Array | None = None) -> ImageDataset:
    """Two classes, all to train on."""
    splits = {"train": np.arange(len(images)), "val": np.arange(0), "test": np.arange(0)}
    return ImageDataset(images, np.arange(len(images)) // 2 % 2, ("a", "b"), splits, "drawn", groups=groups)


def test_mirrored_turned_and_identical_images_are_of_one_family(drawn: Array) -> None:
    images = np.concatenate([drawn, drawn[:20, :, ::-1], np.rot90(drawn[20:40], axes=(1, 2)), drawn[:10]])
    expected = [*range(60), *range(20), *range(20, 40), *range(10)]
    assert copy_families(images).tolist() == expected
    assert copy_families(drawn).tolist() == list(range(60)), "clean images are each their own"


@settings(max_examples=30)
@given(st.lists(st.integers(0, 30), min_size=60, max_size=60), st.booleans())
def test_patients_are_joined_by_the_copies_that_they_share(drawn: Array, patients: list[int], words: bool) -> None:
    images = drawn.copy()
    images[59] = images[0, :, ::-1]
    groups = np.array([f"patient {one}" for one in patients]) if words else np.array(patients)
    found = families(as_dataset(images, groups))
    both = {patients[0], patients[59]}
    for first in range(60):
        for second in range(60):
            own = {patients[first], patients[second]}
            assert (found[first] == found[second]) == (len(own) == 1 or own <= both)


def test_folds_of_a_set_with_copies_leak_nothing(drawn: Array) -> None:
    dataset = as_dataset(np.stack([drawn, drawn[:, :, ::-1]], axis=1).reshape(-1, *drawn.shape[1:]))
    for of, leaks in ((None, 1), (families, 0)):
        pairs = tuple((fold.train, fold.val) for fold in make_folds(dataset, 5, 0, of).folds)
        assert len(find_leaks(replace(dataset, folds=pairs)).leaks) == leaks
