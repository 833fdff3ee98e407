"""Overlap: duplicates and patients that several parts share, and duplicates within one part."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medray._types import Array
from medray.audit.findings import LEAK, WARNING, DuplicatePair, Finding, Severity
from medray.audit.sides import Parts, fold_parts, label_parts, split_parts
from medray.audit.survey import ImageRecords
from medray.data.similarity.duplicates import Duplicates
from medray.data.similarity.perceptual_hash import ORIENTATION_NAMES
from medray.text import first_names, plural

EXAMPLES = 3


@dataclass(frozen=True)
class Shared:
    """Images int64 (m,) that have a duplicate in a certain part, and examples: pairs of the two."""

    images: Array
    examples: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.images)


def find_leaks_between_parts(records: ImageRecords, duplicates: Duplicates) -> Iterator[Finding]:
    """Yield a finding for duplicates, images, patients and cases that splits, or the sides of a fold, share."""
    splits, folds = split_parts(records), fold_parts(records)
    shared = duplicates_in_other_parts(duplicates, splits)
    if len(shared):
        counts = np.bincount(splits.side[shared.images], minlength=len(splits)).tolist()
        by_split = ", ".join(f"{name} {count}" for name, count in zip(splits.names, counts, strict=True) if count)
        location = f"in another split ({by_split})"
        yield _duplicates_finding(records, "duplicates_across_splits", LEAK, shared, location)
    yield from _overlap_of_folds(records, duplicates, folds)
    for noun, column in (("patient", records.patients), ("case", records.cases)):
        yield from _shared_across(column, f"{noun}s_across_splits", noun, [splits], "in several splits")
        yield from _shared_across(column, f"{noun}s_across_folds", noun, folds, "on both sides of a fold")


def find_other_duplicates(records: ImageRecords, duplicates: Duplicates) -> Iterator[Finding]:
    """Yield findings for duplicates with different labels, and for duplicates within one split."""
    shared = duplicates_in_other_parts(duplicates, label_parts(records))
    if len(shared):
        names = [
            f"{name} ({', '.join(labels) or 'none'})"
            for name, labels in zip(records.names, records.labels, strict=True)
        ]
        location = "with other labels" if records.label_sets else "with another label"
        yield _duplicates_finding(records, "duplicates_across_classes", WARNING, shared, location, names)
    splits = split_parts(records)
    if not len(splits):
        splits = Parts((records.source,), np.zeros(len(records), np.int64))
    shared = duplicates_in_same_part(duplicates, splits)
    if len(shared):
        location = "in the same split" if records.split_names else "in the source"
        yield _duplicates_finding(records, "duplicates_within_split", WARNING, shared, location)


def list_pairs(records: ImageRecords, duplicates: Duplicates) -> Iterator[DuplicatePair]:
    """Yield each image with the first one of the same bytes, then the near-duplicates."""

    def pair(
        first: int, second: int, how: Literal["identical", "near"], orientation: int, correlation: float
    ) -> DuplicatePair:
        names, labels = records.names, [", ".join(records.labels[image]) for image in (first, second)]
        return DuplicatePair(
            names[first], names[second], how, ORIENTATION_NAMES[orientation], round(correlation, 4),
            records.splits[first] or "", records.splits[second] or "", *labels,
        )  # fmt: skip

    first_of: dict[int, int] = {}
    for image, content in enumerate(duplicates.content.tolist()):
        if content >= 0 and first_of.setdefault(content, image) != image:
            yield pair(first_of[content], image, "identical", 0, 1.0)
    columns = (duplicates.first, duplicates.second, duplicates.orientation, duplicates.correlation)
    for first, second, orientation, correlation in zip(*(column.tolist() for column in columns), strict=True):
        yield pair(first, second, "near", orientation, correlation)


def duplicates_in_other_parts(duplicates: Duplicates, parts: Parts) -> Shared:
    """Find the images of a part that have a duplicate in another part."""
    images, counts = _count_duplicates(duplicates, parts)
    elsewhere = counts > 0
    elsewhere[np.arange(len(images)), parts.side[images]] = False
    side = parts.side
    return _with_examples(duplicates, images[elsewhere.any(axis=1)], lambda i: (side >= 0) & (side != side[i]))


def duplicates_in_same_part(duplicates: Duplicates, parts: Parts) -> Shared:
    """Find the images of a part that have a duplicate in the same part."""
    images, counts = _count_duplicates(duplicates, parts)
    side, every = parts.side, np.arange(len(parts.side))
    doubled = counts[np.arange(len(images)), side[images]] > 1
    return _with_examples(duplicates, images[doubled], lambda i: (side == side[i]) & (every != i))


def _count_duplicates(duplicates: Duplicates, parts: Parts) -> tuple[Array, Array]:
    """Return the readable images (m,) that are in a part, and how often each appears in each part.

    The counts are int64 (m, parts): duplicates, near-duplicates and the image itself.
    """
    content, side = duplicates.content, parts.side
    images = np.flatnonzero((side >= 0) & (content >= 0))
    identical = np.zeros((content.max(initial=-1) + 1, len(parts)), np.int64)
    np.add.at(identical, (content[images], side[images]), 1)
    first, second = content[duplicates.first], content[duplicates.second]
    counts = identical.copy()
    np.add.at(counts, first, identical[second])
    np.add.at(counts, second, identical[first])
    return images, counts[content[images]]


def _with_examples(duplicates: Duplicates, images: Array, allowed: Callable[[int], Array]) -> Shared:
    """Add a duplicate among those `allowed` to each of the first few images, unless they are one themselves."""
    examples: list[tuple[int, int]] = []
    first, second = duplicates.content[duplicates.first], duplicates.content[duplicates.second]
    for image in images.tolist():
        if len(examples) == EXAMPLES:
            break
        if any(image in pair for pair in examples):
            continue
        content = duplicates.content[image]
        contents = np.concatenate([[content], second[first == content], first[second == content]])
        matches = np.isin(duplicates.content, contents) & allowed(image)
        examples.append((image, int(np.flatnonzero(matches)[0])))
    return Shared(images, tuple(examples))


def _duplicates_finding(
    records: ImageRecords, kind: str, severity: Severity, shared: Shared, location: str,
    names: Sequence[str] | None = None,
) -> Finding:  # fmt: skip
    """Describe images with duplicates; `names` are what the examples are called, where not by their own names."""
    count = "1 image with a duplicate" if len(shared) == 1 else f"{len(shared):,} images with duplicates"
    text = f"{count} {location}: {_list_examples(shared, names or records.names)}"
    return Finding(kind, severity, text, len(shared), tuple(records.names[image] for image in shared.images))


def _list_examples(shared: Shared, names: Sequence[str]) -> str:
    return ", ".join(f"{names[first]} = {names[second]}" for first, second in shared.examples)


def _overlap_of_folds(records: ImageRecords, duplicates: Duplicates, folds: Sequence[Parts]) -> Iterator[Finding]:
    names = [
        f"fold {number}: {records.names[image]}"
        for number, (train, val) in enumerate(records.folds or ())
        for image in np.intersect1d(train, val).tolist()
    ]
    if names:
        text = f"{plural(len(names), 'image')} on both sides of a fold: {first_names(names)}"
        yield Finding("images_across_folds", LEAK, text, len(names), tuple(names))
    shared = [(fold.prefix, duplicates_in_other_parts(duplicates, fold)) for fold in folds]
    shared = [(fold, images) for fold, images in shared if len(images)]
    if shared:
        names = [f"{fold}: {records.names[image]}" for fold, part in shared for image in part.images.tolist()]
        counts = first_names([f"{fold}: {len(part)}" for fold, part in shared])
        examples = _list_examples(shared[0][1], records.names)
        text = f"images with a duplicate on the other side of a fold ({counts}): {examples}"
        yield Finding("duplicates_across_folds", LEAK, text, len(names), tuple(names))


def _shared_across(
    column: Sequence[str | None], kind: str, noun: str, divisions: Sequence[Parts], location: str
) -> Iterator[Finding]:
    names = []
    if not any(column):
        return
    for parts in divisions:
        sides: dict[str, set[int]] = {}
        for patient, side in zip(column, parts.side.tolist(), strict=True):
            if patient is not None and side >= 0:
                sides.setdefault(patient, set()).add(side)
        prefix = f"{parts.prefix}: " if parts.prefix else ""
        for patient, shared in sides.items():
            if len(shared) > 1:
                names.append(f"{prefix}{patient} ({', '.join(parts.names[side] for side in sorted(shared))})")
    if names:
        text = f"{plural(len(names), noun)} with images {location}: {first_names(names)}"
        yield Finding(kind, LEAK, text, len(names), tuple(names))
