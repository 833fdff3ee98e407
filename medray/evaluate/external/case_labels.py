"""Images without a usable label among those of a case: they answer with it, and its label is that of the others.

In use all images of a case answer. Without some of them the case's answer would be another one than was promised.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from medray._types import Array
from medray.data.cases import case_numbers
from medray.data.listing.listing import ListedImage
from medray.data.members import UNKNOWN
from medray.errors import DataError
from medray.stats.cases import CaseIndex, differing_cases
from medray.text import plural


class CaseLabels(NamedTuple):
    """The images at `positions` (m,) of cases that have a label, the `labels` (m, ..) of each, and notes."""

    positions: Array
    labels: Array
    notes: list[str]


@contextmanager
def refuse_without_cases(by: str) -> Iterator[None]:
    """Say of a DataError inside that the run answers by case; it is raised again with that."""
    try:
        yield
    except DataError as error:
        raise DataError(
            f"the run answers by {by}, and what it promises is of that, not of an image: {error}"
        ) from None


def number_listed(images: Sequence[ListedImage], labelled: Array, by: str, source: str) -> Array:
    """Return the case of each listed image, int64 (n,), in the order of their first images; below 0 if unknown.

    It is unknown of an image without a patient, where those at the positions `labelled` (m,) have one.

    Raises:
        DataError: the source does not know the cases.
    """
    patients = [image.patient for image in images]
    known = all(patients[position] for position in labelled.tolist())
    rows = [row for row, patient in enumerate(patients) if patient or not known]
    columns = sorted({name for row in rows for name in images[row].subgroups})
    subgroups = {name: np.array([images[row].subgroups.get(name, "") for row in rows]) for name in columns}
    groups = np.array([patients[row] for row in rows]) if known else None
    numbers = -1 - np.arange(len(images))
    numbers[rows] = case_numbers(by, groups, subgroups, source)
    return numbers


def in_labelled_cases(numbers: Array, labelled: Array) -> tuple[Array, list[str]]:
    """Return the positions of images whose case has an image that is `labelled`, bool (n,), and a note on others.

    `numbers` (n,) are the images' cases.
    """
    kept = np.isin(numbers, numbers[labelled])
    without = int((~kept).sum())
    cases = plural(len(np.unique(numbers[~kept])), "case")
    note = f"left out: {cases} ({plural(without, 'image')}), none of whose images has a usable label"
    return np.flatnonzero(kept), [note] * bool(without)


def label_by_case(labels: Array, labelled: Array, cases: CaseIndex) -> CaseLabels:
    """Return the images of cases that have a label, and the label of each, int64 (m, ..).

    One of the `labelled`, bool (n,), has its `labels` (n, ..), another one the label of its case, which is made of
    the labelled ones alone. So the label of a case is that of the labelled images alone.
    """
    positions, notes = in_labelled_cases(cases.numbers, labelled)
    labelled, labels, numbers = labelled[positions], labels[positions].copy(), cases.numbers[positions]
    known = CaseIndex(cases.rule, numbers[labelled])
    plain, first = labels[labelled], known.first[known.index]
    differing = differing_cases(plain, known.index, cases.rule)[known.index]
    plain[differing] = plain[first[differing]]  # any class of theirs: the case has no label with any
    at = np.searchsorted(np.unique(known.numbers), numbers[~labelled])
    labels[~labelled] = known.labels(plain)[at]
    count = int((~labelled).sum())
    if count:
        images, of = plural(count, "image"), plural(len(np.unique(numbers[~labelled])), "case")
        notes.append(
            f"left out of their case's label alone, not of its answer: {images} of {of} without a usable label"
        )
    return CaseLabels(positions, labels, notes)


def with_unlabelled(labels: Array, positions: Array, count: int) -> tuple[Array, Array]:
    """Return labels (count, ..) that have `labels` (n, ..) at `positions`, and where these are, bool (count,)."""
    table = np.full((count, *labels.shape[1:]), UNKNOWN if labels.ndim == 2 else 0, dtype=np.int64)
    table[positions] = labels
    labelled = np.zeros(count, dtype=bool)
    labelled[positions] = True
    return table, labelled


def note_lost(lost: Array, numbers: Array) -> list[str]:
    """Return a note on images that can't be used, of cases `lost` (n,), as far as these are among `numbers`."""
    of_cases = lost[np.isin(lost, numbers)]
    if not len(of_cases):
        return []
    cases, images = plural(len(np.unique(of_cases)), "case"), plural(len(of_cases), "image")
    return [f"{cases} answered without {images} that can't be read or used"]
