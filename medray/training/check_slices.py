"""Check before the first epoch that `fit` can train on one slice of images and measure on another."""

import numpy as np

from medray._types import Array
from medray.data.dataset import LabelledImages
from medray.data.members import members_of
from medray.errors import DataError, printable
from medray.stats.label_sets import has_both
from medray.text import first_names, plural


def check_slices(train: LabelledImages, val: LabelledImages, metric: str) -> None:
    """Check that both slices hold images of each class, of one shape; `metric` is the one that is monitored.

    A metric that has no value, such as AUC with a class that val lacks, would keep the first epoch as the best.

    Raises:
        DataError: a slice is empty, its arrays do not fit, a label is out of range, or it lacks a class.
    """
    for name, images in (("train", train), ("val", val)):
        _check_arrays(name, images)
    for part, of_train, of_val in (
        ("class names", tuple(train.class_names), tuple(val.class_names)),
        ("images of height, width and channels", train.shape, val.shape),
    ):
        if of_train != of_val:
            raise DataError(f"train and val have different {part}: {of_train} and {of_val}")
    if train.own_labels.ndim == 2:
        _check_label_sets(train, val)
        return
    for name, labels, unit, problem in (
        ("train", train.own_labels, "image", "nothing can be learned of such a class"),
        ("val", val.answered_labels, "case" if val.cases else "image", f"{metric} can't be measured on it"),
    ):
        counts = members_of(labels, len(train.class_names)).sum(axis=0)
        missing = [printable(str(train.class_names[label])) for label in np.flatnonzero(counts == 0)]
        if missing:
            raise DataError(
                f"split '{name}' has no {unit} of {first_names(missing)}: {problem}; make splits that each have "
                "images of all classes, or leave such a class out of images and class_names"
            )


def _check_label_sets(train: LabelledImages, val: LabelledImages) -> None:
    """Check labels of which an image may have several: some label at least is learned, and measured.

    A fold may lack the images of a rare label, which no model then learns: its means are over the others.
    """
    for name, labels, purpose in (
        ("train", train.own_labels, "learned"),
        ("val", val.answered_labels, "measured"),
    ):
        if not any(map(has_both, labels.T)):
            raise DataError(
                f"split '{name}': no label has images with it and images without it: nothing can be {purpose}; "
                "make other splits"
            )


def _check_arrays(name: str, images: LabelledImages) -> None:
    """Check one slice: a slice that was made by hand has passed no check yet."""
    count, classes = len(images.images), len(images.class_names)
    if images.images.dtype != np.uint8 or images.images.ndim != 4:
        shape = f"{images.images.dtype} {images.images.shape}"
        raise DataError(f"split '{name}': images are {shape}, not uint8 (N, H, W, C)")
    if classes < 2:
        raise DataError(f"split '{name}': {plural(classes, 'class', 'classes')}; at least two are needed")
    for part, values in (("labels", images.labels), ("positions", images.positions)):
        if part == "labels" and values.ndim == 2 and values.shape[1] == classes and values.dtype.kind == "i":
            continue
        if values.ndim != 1 or values.dtype.kind not in "iu":
            hint = "; of a mask: np.flatnonzero(mask)" if values.dtype == bool else ""
            raise DataError(
                f"split '{name}': {part} are {values.dtype} {values.shape}, not whole numbers (n,){hint}"
            )
    if len(images.labels) != count:
        raise DataError(f"split '{name}': {len(images.labels)} labels for {plural(count, 'image')}")
    if not len(images):
        raise DataError(f"split '{name}' is empty")
    _check_range(name, "positions", images.positions, count, "images")
    if images.labels.ndim == 1:
        _check_range(name, "labels", images.own_labels, classes, "classes")


def _check_range(name: str, part: str, values: Array, limit: int, noun: str) -> None:
    low, high = values.min(), values.max()
    if low < 0 or high >= limit:
        raise DataError(
            f"split '{name}': {part} run from {low} to {high}, but there are {limit} {noun}, 0 to {limit - 1}"
        )
