"""ImageDataset: what it refuses, that images can't be changed, and its fingerprint."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.errors import DataError


def positions(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def make(**changes: Any) -> ImageDataset:
    """Ten images of 4×5 in two classes."""
    arrays: dict[str, Any] = {
        "images": np.arange(10 * 4 * 5, dtype=np.uint8).reshape(10, 4, 5, 1),
        "labels": np.arange(10, dtype=np.int64) % 2,
        "class_names": ("benign", "malignant"),
        "splits": {"train": positions(0, 1, 2, 3, 4, 5), "val": positions(6, 7), "test": positions(8, 9)},
        "source": "a-test",
    }
    return ImageDataset(**(arrays | changes))


LABELS = np.arange(10, dtype=np.int64) % 2
IMAGES = np.zeros((10, 4, 5, 1), dtype=np.uint8)

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"images": IMAGES.astype(np.float32)}, "images are float32 (10, 4, 5, 1), not uint8 (N, H, W, C)"),
    ({"images": IMAGES[..., 0]}, "images are uint8 (10, 4, 5), not uint8 (N, H, W, C)"),
    ({"images": IMAGES.repeat(4, axis=3)}, "images have 4 channels; 1 or 3 can be used"),
    ({"images": IMAGES.repeat(2, axis=3)}, "images have 2 channels; 1 or 3 can be used"),
    ({"images": IMAGES[:0], "labels": LABELS[:0], "splits": {}}, "no images"),
    ({"labels": LABELS[:9]}, "labels are int64 (9,), not int64 (10,)"),
    ({"labels": LABELS[:, None]}, "labels are int64 (10, 1), not int64 (10, 2)"),
    ({"labels": LABELS.astype(np.int32)}, "labels are int32 (10,), not int64 (10,)"),
    ({"labels": LABELS.astype(float)}, "labels are float64 (10,), not int64 (10,)"),
    ({"labels": LABELS + 1}, "labels run from 1 to 2, but there are 2 classes, 0 to 1"),
    ({"labels": LABELS - 1}, "labels run from -1 to 0, but there are 2 classes, 0 to 1"),
    ({"class_names": ("one",), "labels": LABELS * 0}, "1 class; at least two are needed"),
    ({"splits": {"train": positions(0, 10)}}, "split 'train' is not a list of positions of the images"),
    ({"splits": {"train": positions(-1, 0)}}, "split 'train' is not a list of positions of the images"),
    ({"splits": {"train": np.array([0.0, 1.0])}}, "split 'train' is not a list of positions of the images"),
    ({"splits": {"train": np.array([], dtype=float)}}, "split 'train' is not a list of positions of the images"),
    ({"splits": {"train": np.ones(10, dtype=bool)}}, "split 'train' is not a list of positions of the images"),
    ({"splits": {"train": positions(0, 1)[None]}}, "split 'train' is not a list of positions of the images"),
    ({"splits": {"train": positions(0, 1, 0)}}, "split 'train' holds an image twice, or another split's"),
    (
        {"splits": {"train": positions(0, 1), "val": positions(2, 1)}},
        "split 'val' holds an image twice, or another",
    ),
    ({"groups": np.arange(9)}, "9 groups for 10 images"),
    ({"groups": np.arange(10)[:, None]}, "(10, 1) groups for 10 images"),
    ({"subgroups": {"sex": np.array(list("fm"))}}, "2 subgroup 'sex' for 10 images"),
    ({"subgroups": {"sex": np.array("f")}}, "() subgroup 'sex' for 10 images"),
    ({"folds": ((positions(0, 1), positions(1)),)}, "fold 0 holds out images that it trains on"),
    ({"folds": ((positions(0), positions(10)),)}, "fold 0, held out is not a list of positions of the images"),
    (
        {"folds": ((positions(0), positions(1)), (np.ones(10, dtype=bool), positions(1)))},
        "fold 1, training is not a list of positions of the images",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), REFUSALS, ids=[problem[:60] for _, problem in REFUSALS])
def test_what_does_not_fit_is_refused_in_one_line(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError) as caught:
        make(**changes)
    assert str(caught.value).startswith(f"a-test: {problem}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_are_taken(channels: int) -> None:
    dataset = make(images=IMAGES.repeat(channels, axis=3))
    assert dataset.shape == dataset.split("val").shape == (4, 5, channels)
    assert len(dataset) == 10


def test_a_split_need_not_hold_every_image() -> None:
    assert len(make(splits={"train": positions(3)}).split("train")) == 1


def test_images_and_labels_can_not_be_changed_through_the_data_set() -> None:
    images, labels = IMAGES.copy(), LABELS.copy()
    dataset = make(images=images, labels=labels)
    for array in (dataset.images, dataset.labels, dataset.split("train").images, dataset.split("train").labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        dataset.images += 1  # type: ignore[misc]
    images[0] = 7  # the caller's own array is still theirs
    labels[0] = 1


def test_an_array_that_is_read_only_already_is_taken() -> None:
    images = np.frombuffer(bytes(10 * 4 * 5), dtype=np.uint8).reshape(10, 4, 5, 1)
    assert make(images=images).images.shape == (10, 4, 5, 1)


def test_images_are_not_copied() -> None:
    images = IMAGES.copy()
    assert np.shares_memory(make(images=images).split("val").images, images)


def test_a_slice_knows_its_own_labels_and_counts() -> None:
    val = make(splits={"train": positions(0), "val": positions(9, 2, 4)}).split("val")
    assert len(val) == 3
    assert val.own_labels.tolist() == [1, 0, 0]
    assert val.class_counts().tolist() == [2, 1]
    assert make(class_names=("a", "b", "c")).split("val").class_counts().tolist() == [1, 1, 0]


def test_take_copies() -> None:
    dataset = make()
    val = dataset.split("val")
    images, labels = val.take(np.array([1, 0, 1]))
    assert labels.tolist() == [1, 0, 1]
    assert (images == dataset.images[[7, 6, 7]]).all()
    before = dataset.fingerprint
    images[:], labels[:] = 255, 0
    assert not np.shares_memory(images, dataset.images)
    assert replace(dataset).fingerprint == before


def test_an_unknown_split_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(
        DataError, match=r"a-test: unknown split 'tets' \(did you mean 'test'\?\); valid: test, train"
    ):
        make().split("tets")


def test_an_empty_split_is_refused_when_it_is_asked_for() -> None:
    dataset = make(splits={"train": positions(0), "val": positions()})
    with pytest.raises(DataError, match="a-test: split 'val' is empty"):
        dataset.split("val")


# -- the fingerprint

GROUPS = np.array(list("aabbccddee"))


def changed(array: Array, position: Any, value: Any) -> Array:
    copy = array.copy()
    copy[position] = value
    return copy


SPLITS = make().splits
OTHERS: dict[str, dict[str, Any]] = {
    "one pixel": {"images": changed(make().images, (9, 3, 4, 0), 0)},
    "the shape": {"images": make().images.reshape(10, 5, 4, 1)},
    "one label": {"labels": changed(LABELS, 9, 0)},
    "a class's name": {"class_names": ("benign", "malign")},
    "the order of classes": {"class_names": ("malignant", "benign")},
    "one class more": {"class_names": ("benign", "malignant", "normal")},
    "groups": {"groups": GROUPS},
    "other groups": {"groups": changed(GROUPS, 9, "d")},
    "a split's images": {"splits": {**SPLITS, "test": positions(8)}},
    "an image in another split": {
        "splits": {"train": positions(0, 1, 2, 3, 4), "val": positions(5, 6, 7), "test": positions(8, 9)}
    },
    "a split's order": {"splits": {**SPLITS, "test": positions(9, 8)}},
    "a split's name": {"splits": {"train": SPLITS["train"], "val": SPLITS["val"], "tests": SPLITS["test"]}},
    "swapped splits": {"splits": {**SPLITS, "val": SPLITS["test"], "test": SPLITS["val"]}},
    "folds": {"folds": ((positions(0, 1), positions(2)),)},
    "folds with an image on the other side": {"folds": ((positions(0), positions(1, 2)),)},
    "the order of folds": {"folds": ((positions(0), positions(1, 2)), (positions(1), positions(0)))},
    "another order of folds": {"folds": ((positions(1), positions(0)), (positions(0), positions(1, 2)))},
    "subgroups": {"subgroups": {"sex": np.array(list("fffffmmmmm"))}},
    "other subgroups": {"subgroups": {"sex": np.array(list("fffffmmmmf"))}},
    "a subgroup's name": {"subgroups": {"scanner": np.array(list("fffffmmmmm"))}},
    "no test split": {"splits": {"train": SPLITS["train"], "val": SPLITS["val"]}},
}


def test_the_fingerprint_changes_with_every_part_of_the_content() -> None:
    fingerprints = {name: make(**changes).fingerprint for name, changes in OTHERS.items()} | {
        "as it was": make().fingerprint
    }
    assert len(set(fingerprints.values())) == len(fingerprints), fingerprints
    assert all(len(print_) == 64 for print_ in fingerprints.values())


def test_the_fingerprint_is_of_the_content_alone() -> None:
    elsewhere = make(
        images=np.asfortranarray(make().images),
        labels=changed(LABELS, 0, 0),
        splits=dict(reversed(SPLITS.items())),
        source="elsewhere",
        notes=("class names: none in the file, so numbers",),
    )
    assert elsewhere.fingerprint == make().fingerprint
