"""Patients: which values of a column say that one is unknown, which images share one, how many there are."""

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.text import plural

#: Images of a class, or patients that have such, below which a figure gets no interval and a subgroup a flag.
ENOUGH_CASES = 10


def is_missing(patient: object) -> bool:
    """Return whether a patient is unknown: None, NaN or empty text, or one of these written as a word."""
    return str(patient).lower() in ("", "none", "nan")


def group_numbers(groups: Array, images: int) -> Array:
    """Return the patients of `groups` (images,) numbered from 0, int64 (images,); 7 and "7" are the same patient.

    Raises:
        DataError: there is not one patient for each image, or one is missing: None, NaN or empty text.
    """
    if groups.shape != (images,):
        raise DataError(f"groups are {groups.shape}, not ({images},): the patient of each image")
    names = [str(group) for group in groups.tolist()]
    missing = sum(map(is_missing, names))
    if missing:
        raise DataError(f"{missing} of {images} images have no patient: whole patients can't be drawn")
    numbers: Array = np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
    return numbers


def too_few_cases(labels: Array, classes: int, groups: Array | None = None) -> str | None:
    """Return why no figure over all classes gets an interval, None where each has `ENOUGH_CASES` images.

    `labels` are int64 (N,) in 0..classes - 1. With `groups` (N,), a class needs as many patients.

    Raises:
        DataError: a patient is missing.
    """
    fewest = fewest_cases(labels, classes, groups)
    noun = "image" if groups is None else "patient"
    return f"{plural(fewest, noun)} of a class: too few" if fewest < ENOUGH_CASES else None


def fewest_cases(labels: Array, classes: int, groups: Array | None = None) -> int:
    """Return how many images, or with `groups` (N,) patients, the class of `labels` int64 (N,) with fewest has.

    Raises:
        DataError: a patient is missing.
    """
    if groups is not None:
        labels = np.unique(group_numbers(groups, len(labels)) * classes + labels) % classes
    return int(np.bincount(labels, minlength=classes).min())
