"""Overlap: copies and patients that several parts share, and copies where there should be one image."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.audit.findings import LEAK, WARNING, CopyRow, Finding, counted, few
from medray.audit.sides import Parts, fold_parts, split_parts
from medray.audit.survey import Survey
from medray.data.similarity.duplicates import Copies
from medray.data.similarity.perceptual_hash import NAMES


@dataclass(frozen=True)
class Shared:
    """Images int64 (m,) that have a copy in another part, and for the first few of them such a copy."""

    images: Array
    examples: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.images)


def find_leaks_between_parts(survey: Survey, copies: Copies) -> Iterator[Finding]:
    """Copies, images and patients that are shared between splits, or between the sides of a fold."""
    splits, folds = split_parts(survey), fold_parts(survey)
    shared = shared_copies(copies, splits.side, len(splits))
    if len(shared):
        text = f"{_have(shared)} in another split ({_by_part(splits, shared)}): {_told(survey, shared)}"
        yield Finding("copies_across_splits", LEAK, text, len(shared), _named(survey, shared.images))
    yield from _across_folds(survey, copies, folds)
    yield from _patients(survey, "patients_across_splits", [splits])
    yield from _patients(survey, "patients_across_folds", folds)


def find_other_copies(survey: Survey, copies: Copies) -> Iterator[Finding]:
    """Copies with different labels, and copies within one split."""
    classes = survey.classes()
    shared = shared_copies(copies, classes, len(survey.class_names))
    if len(shared):
        text = f"{_have(shared)} with another label: {_told(survey, shared, labels=True)}"
        yield Finding("copies_across_classes", WARNING, text, len(shared), _named(survey, shared.images))
    splits = split_parts(survey)
    side = splits.side if len(splits) else np.zeros(len(survey), np.int64)
    doubled = _doubled(copies, side, max(1, len(splits)))
    if len(doubled):
        within = "the same split" if len(splits) else "the source"
        text = f"{_have(doubled)} in {within}: {_told(survey, doubled)}"
        yield Finding("copies_within_split", WARNING, text, len(doubled), _named(survey, doubled.images))


def copy_rows(survey: Survey, copies: Copies) -> Iterator[CopyRow]:
    """Each image with the first one of the same bytes, then the first images of nearly the same contents."""
    first_of: dict[int, int] = {}
    for image, content in enumerate(copies.content.tolist()):
        if content >= 0 and first_of.setdefault(content, image) != image:
            yield _row(survey, first_of[content], image, "identical", NAMES[0], 1.0)
    columns = (copies.first, copies.second, copies.orientation, copies.correlation)
    for first, second, orientation, correlation in zip(*(own.tolist() for own in columns), strict=True):
        yield _row(survey, first, second, "near", NAMES[orientation], round(correlation, 4))


def shared_copies(copies: Copies, side: Array, parts: int) -> Shared:
    """Find the images that have a copy in another part, from the part of each image int64 (n,), -1 for none."""
    reached = _reached(copies, side, parts)
    own = np.flatnonzero((side >= 0) & (copies.content >= 0))
    others = reached[copies.content[own]] > 0
    others[np.arange(len(own)), side[own]] = False
    return _with_examples(copies, own[others.any(axis=1)], lambda image: (side >= 0) & (side != side[image]))


def _doubled(copies: Copies, side: Array, parts: int) -> Shared:
    reached = _reached(copies, side, parts)
    own = np.flatnonzero((side >= 0) & (copies.content >= 0))
    found = own[reached[copies.content[own], side[own]] > 1]
    return _with_examples(copies, found, lambda image: (side == side[image]) & (np.arange(len(side)) != image))


def _reached(copies: Copies, side: Array, parts: int) -> Array:
    """How many images of each part have each content, or nearly it: int64 (contents, parts)."""
    known = (side >= 0) & (copies.content >= 0)
    counts = np.zeros((copies.content.max(initial=-1) + 1, parts), np.int64)
    np.add.at(counts, (copies.content[known], side[known]), 1)
    a, b = copies.content[copies.first], copies.content[copies.second]
    reached = counts.copy()
    np.add.at(reached, a, counts[b])
    np.add.at(reached, b, counts[a])
    return reached


def _with_examples(copies: Copies, images: Array, allowed: Callable[[int], Array]) -> Shared:
    """Name a copy of each of the first few images, those apart that are the copy of an earlier one."""
    examples: list[tuple[int, int]] = []
    a, b = copies.content[copies.first], copies.content[copies.second]
    for image in images.tolist():
        if len(examples) == 3:
            break
        if any(image in pair for pair in examples):
            continue
        own = copies.content[image]
        after, before = copies.second[a == own], copies.first[b == own]
        alike = np.isin(copies.content, np.concatenate([[own], copies.content[after], copies.content[before]]))
        examples.append((image, int(np.flatnonzero(alike & allowed(image))[0])))
    return Shared(images, tuple(examples))


def _across_folds(survey: Survey, copies: Copies, folds: Sequence[Parts]) -> Iterator[Finding]:
    both = [np.intersect1d(train, val) for train, val in survey.folds or ()]
    if sum(map(len, both)):
        names = [f"fold {n}: {survey.names[image]}" for n, part in enumerate(both) for image in part.tolist()]
        text = f"{counted(len(names), 'image')} on both sides of a fold: {few(names)}"
        yield Finding("images_across_folds", LEAK, text, len(names), tuple(names))
    shared = [(fold, shared_copies(copies, fold.side, len(fold))) for fold in folds]
    names = [f"{fold.prefix}: {survey.names[image]}" for fold, part in shared for image in part.images.tolist()]
    if names:
        where = [f"{fold.prefix}: {len(part)}" for fold, part in shared if len(part)]
        example = next(part for _, part in shared if len(part))
        text = f"images with a copy on the other side of a fold ({few(where)}): {_told(survey, example)}"
        yield Finding("copies_across_folds", LEAK, text, len(names), tuple(names))


def _patients(survey: Survey, kind: str, several: Sequence[Parts]) -> Iterator[Finding]:
    names = []
    for parts in several:
        sides: dict[str, set[int]] = {}
        for patient, side in zip(survey.patients, parts.side.tolist(), strict=True):
            if patient is not None and side >= 0:
                sides.setdefault(patient, set()).add(side)
        start = f"{parts.prefix}: " if parts.prefix else ""
        for patient, found in sides.items():
            if len(found) > 1:
                names.append(f"{start}{patient} ({', '.join(parts.names[side] for side in sorted(found))})")
    if names:
        where = "on both sides of a fold" if several[0].prefix else "in several splits"
        text = f"{counted(len(names), 'patient')} with images {where}: {few(names)}"
        yield Finding(kind, LEAK, text, len(names), tuple(names))


def _have(shared: Shared) -> str:
    return "1 image with a copy" if len(shared) == 1 else f"{len(shared)} images with copies"


def _by_part(parts: Parts, shared: Shared) -> str:
    counts = np.bincount(parts.side[shared.images], minlength=len(parts))
    return ", ".join(f"{name} {count}" for name, count in zip(parts.names, counts.tolist(), strict=True) if count)


def _told(survey: Survey, shared: Shared, *, labels: bool = False) -> str:
    """The examples, as `a = b`; with their labels where asked for."""

    def name(image: int) -> str:
        return f"{survey.names[image]} ({_label(survey, image)})" if labels else survey.names[image]

    return ", ".join(f"{name(first)} = {name(second)}" for first, second in shared.examples)


def _named(survey: Survey, images: Array) -> tuple[str, ...]:
    return tuple(survey.names[image] for image in images.tolist())


def _label(survey: Survey, image: int) -> str:
    return ", ".join(survey.labels[image])


def _row(survey: Survey, first: int, second: int, how: str, orientation: str, correlation: float) -> CopyRow:
    return CopyRow(
        survey.names[first], survey.names[second], how, orientation, correlation, survey.splits[first] or "",
        survey.splits[second] or "", _label(survey, first), _label(survey, second),
    )  # fmt: skip
