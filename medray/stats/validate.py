"""Checks of predictions and labels that all functions of this package share."""

from collections.abc import Sequence

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError, unknown_choice_line

ROUNDING = 1e-6  # how far a softmax may be from 0..1
SUM_TOLERANCE = 1e-3  # how far a row may be from a sum of 1; half precision comes within it


def check_confidence(confidence: float) -> None:
    """Check the confidence of an interval, such as 0.95.

    Raises:
        ConfigError: it does not lie between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence is {confidence}; it must lie between 0 and 1")


def check_probabilities(probabilities: Array) -> Array:
    """Return a table of probabilities, float (N, classes), as float64 within 0..1; N may be 0.

    Raises:
        DataError: it is not float, has fewer than two classes, or a row does not lie in 0..1 and sum to 1.
    """
    table = np.asarray(probabilities)
    if table.ndim != 2 or table.shape[1] < 2 or table.dtype.kind != "f":
        raise DataError(
            f"probabilities are {table.dtype} {table.shape}, not float (N, classes) of two classes or more"
        )
    exact = table.astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf
        low, high, total = exact.min(axis=1), exact.max(axis=1), exact.sum(axis=1)
    valid = (low >= -ROUNDING) & (high <= 1 + ROUNDING) & (np.abs(total - 1) <= SUM_TOLERANCE)  # False for NaN
    if not valid.all():
        row = int(np.argmin(valid))
        raise DataError(
            f"probabilities of image {row} must lie between 0 and 1 and sum to 1; they lie between "
            f"{low[row]:g} and {high[row]:g} and sum to {total[row]:g}"
        )
    return exact.clip(0.0, 1.0)


def check_labels(labels: Array, images: int, classes: int) -> Array:
    """Return labels (images,) as int64.

    Raises:
        DataError: there is no image, or the labels are not one whole number in 0..classes - 1 for each image.
    """
    numbers = np.asarray(labels)
    if not images:
        raise DataError("there is no image: at least one is needed")
    if numbers.shape != (images,) or numbers.dtype.kind not in "iu":
        raise DataError(f"labels are {numbers.dtype} {numbers.shape}, not whole numbers ({images},)")
    invalid = (numbers < 0) | (numbers >= classes)
    if invalid.any():
        row = int(np.argmax(invalid))
        raise DataError(f"label {numbers[row]} of image {row} is of no class: labels are 0 to {classes - 1}")
    return numbers.astype(np.int64)


def check_labelled(probabilities: Array, labels: Array) -> tuple[Array, Array]:
    """Return probabilities (N, classes) as float64 and labels (N,) as int64, of one image or more.

    Raises:
        DataError: as `check_probabilities` and `check_labels` do.
    """
    exact = check_probabilities(probabilities)
    return exact, check_labels(labels, *exact.shape)


def check_label_range(probabilities: Array) -> Array:
    """Return the probabilities of labels of which an image may have several, (N, K), as float64 within 0..1.

    Raises:
        DataError: they are not float (N, K), or do not lie in 0..1.
    """
    table = np.asarray(probabilities)
    if table.ndim != 2 or table.dtype.kind != "f":
        raise DataError(f"probabilities are {table.dtype} {table.shape}, not float (N, labels)")
    exact = table.astype(np.float64)
    if not ((exact >= -ROUNDING) & (exact <= 1 + ROUNDING)).all():  # NaN is not
        raise DataError("probabilities must lie between 0 and 1")
    return exact.clip(0.0, 1.0)


def check_label_sets(probabilities: Array, labels: Array) -> tuple[Array, Array]:
    """Return probabilities and labels (N, K), of which an image may have several, as float64 and int64.

    Raises:
        DataError: they are of other shapes or types, the probabilities don't lie in 0..1, or the labels in -1..1.
    """
    exact, marks = check_label_range(probabilities), np.asarray(labels)
    if marks.shape != exact.shape or marks.dtype.kind not in "iu":
        raise DataError(f"labels are {marks.dtype} {marks.shape}, not whole numbers {exact.shape}")
    if not len(exact):
        raise DataError("there is no image: at least one is needed")
    if marks.min() < -1 or marks.max() > 1:
        raise DataError(f"labels run from {marks.min()} to {marks.max()}, not from -1 to 1")
    return exact, marks.astype(np.int64)


def class_index(positive: str | None, class_names: Sequence[str]) -> int:
    """Return the index of the positive class in `class_names`.

    Raises:
        ConfigError: it is no class, or None: names and their order don't say which class is the finding.
    """
    if positive is None:
        raise ConfigError(
            f"say by --positive which class an operating point calls; valid: {', '.join(class_names)}"
        )
    if positive not in class_names:
        raise ConfigError(unknown_choice_line("class", positive, class_names))
    return list(class_names).index(positive)
