"""What this package's modules check alike: the predictions they take, and the JSON they read back."""

import math
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError, RunError, unknown

#: The types of a JSON value that a field may have; a bool is no number.
TEXT, WHOLE, NUMBER, NUMBER_OR_NONE, MAPPING = (str,), (int,), (int, float), (int, float, NoneType), (dict,)

ROUNDING, SUM_TOLERANCE = 1e-6, 1e-3  # by how much a softmax may miss 0..1, and a row of it a sum of 1


def check_probabilities(probabilities: Array) -> Array:
    """Return probabilities (N, classes) as float64; there may be no image.

    Raises:
        DataError: they are no table of numbers with two classes or more, or a row is no distribution.
    """
    given = np.asarray(probabilities)
    if given.ndim != 2 or given.shape[1] < 2 or given.dtype.kind not in "fiu":
        raise DataError(
            f"probabilities are {given.dtype} {given.shape}, not numbers (N, classes) of two classes or more"
        )
    exact = given.astype(np.float64)
    with np.errstate(invalid="ignore"):  # of infinities; what is wrong is said below
        low, high, total = exact.min(axis=1), exact.max(axis=1), exact.sum(axis=1)
    right = (low >= -ROUNDING) & (high <= 1 + ROUNDING) & (np.abs(total - 1) <= SUM_TOLERANCE)  # NaN is not
    if not right.all():
        row = int(np.argmin(right))
        raise DataError(
            f"probabilities of image {row} must lie between 0 and 1 and sum to 1; they lie between "
            f"{low[row]:g} and {high[row]:g} and sum to {total[row]:g}"
        )
    return exact.clip(0.0, 1.0)


def check_labels(labels: Array, images: int, classes: int) -> Array:
    """Return labels (N,) as int64.

    Raises:
        DataError: there is no image, they are not one whole number for each, or one is of no class.
    """
    given = np.asarray(labels)
    if not images:
        raise DataError("there is no image: at least one is needed")
    if given.shape != (images,) or given.dtype.kind not in "iu":
        raise DataError(f"labels are {given.dtype} {given.shape}, not whole numbers ({images},)")
    wrong = (given < 0) | (given >= classes)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"label {given[row]} of image {row} is of no class: labels are 0 to {classes - 1}")
    return given.astype(np.int64)


def check_labelled(probabilities: Array, labels: Array) -> tuple[Array, Array]:
    """Return probabilities (N, classes) as float64 and labels (N,) as int64, of one image or more.

    Raises:
        DataError: as `check_probabilities` and `check_labels` do.
    """
    exact = check_probabilities(probabilities)
    return exact, check_labels(labels, *exact.shape)


def class_index(positive: str | None, class_names: Sequence[str]) -> int:
    """Return where the positive class is among `class_names`.

    Raises:
        ConfigError: it is no class, or None: which class is the finding can't be told from names and their order.
    """
    if positive is None:
        raise ConfigError(
            f"say by --positive which class an operating point calls; valid: {', '.join(class_names)}"
        )
    if positive not in class_names:
        raise ConfigError(unknown("class", positive, class_names))
    return list(class_names).index(positive)


def read_fields(content: object, wanted: Mapping[str, tuple[type, ...]], what: str) -> dict[str, Any]:
    """Return `content`, read from JSON, if it holds exactly the fields `wanted`, each of one of its types.

    Raises:
        RunError: it does not; `what` is the name of the thing in the message.
    """
    if not isinstance(content, dict):
        raise RunError(f"damaged {what}: it is {type(content).__name__}, not a mapping")
    for name in content:
        if name not in wanted:
            raise RunError(f"damaged {what}: {unknown('field', name, wanted)}")
    for name, types in wanted.items():
        if name not in content:
            raise RunError(f"damaged {what}: it has no '{name}'")
        value = content[name]
        if type(value) not in types or (isinstance(value, float) and not math.isfinite(value)):
            valid = " or ".join("null" if t is NoneType else t.__name__ for t in types)
            raise RunError(f"damaged {what}: '{name}' is {value!r:.40}, not {valid}")
    return content
