"""Contents: files that can't be used, labels that say nothing or too much, classes of too few images."""

from collections.abc import Iterator, Sequence

import numpy as np

from medray._types import Array
from medray.audit.findings import WARNING, Finding, counted, few
from medray.audit.sides import fold_parts, split_parts
from medray.audit.survey import Survey
from medray.data.folds import COUNT
from medray.data.listing.listing import TEST
from medray.data.similarity.duplicates import FLAT

LEAST_IN_SPLIT = 2
USUAL_SPLITS = 3


def find_unusable(survey: Survey) -> Iterator[Finding]:
    """Files and rows that a training can't use, or only after a decision."""
    measures = survey.measures
    unread = [f"{survey.names[i]}: {measures.problem[i]}" for i in np.flatnonzero(~measures.readable)]
    flat = _names(survey, measures.readable & (measures.contrast < FLAT))
    blank = [name for name, own in zip(survey.names, survey.labels, strict=True) if not own]
    several = [
        f"{name} ({', '.join(own)})" for name, own in zip(survey.names, survey.labels, strict=True) if len(own) > 1
    ]
    yield from _some("unreadable", "unreadable image", unread)
    yield from _some("uniform", "image of one tone", flat, "images of one tone")
    yield from _some("blank_labels", "image without a label", blank, "images without a label")
    yield from _some("multiple_labels", "image with several labels", several, "images with several labels")
    for kind, what, column in (
        ("missing_splits", "no split", survey.splits),
        ("missing_patients", "no patient", survey.patients),
    ):
        untold = [name for name, own in zip(survey.names, column, strict=True) if own is None]
        if len(untold) < len(survey):
            yield from _some(kind, f"image with {what}, where others have one", untold,
                             f"images with {what}, where others have one")  # fmt: skip
    yield from _some("missing_files", "row without a file", survey.missing, "rows without a file")
    yield from _some("ignored_files", "ignored file", survey.ignored)


def find_small_classes(survey: Survey) -> Iterator[Finding]:
    """Classes of which a split has fewer than two images, or that have fewer images, or patients, than folds."""
    splits, classes = split_parts(survey), survey.classes()
    counts = count_classes(classes, splits.side, len(survey.class_names), len(splits))
    small, absent = [], []
    for place, name in enumerate(survey.class_names):
        for split, count in zip(splits.names, counts[place].tolist(), strict=True):
            if count == 0:
                absent.append(f"{name} in {split}")
            elif count < LEAST_IN_SPLIT:
                small.append(f"{name} ({counted(count, 'image')} in {split})")
        own = classes == place
        if not len(splits) and own.sum() < LEAST_IN_SPLIT * USUAL_SPLITS:
            small.append(f"{name} ({counted(int(own.sum()), 'image')} for {USUAL_SPLITS} splits)")
        else:
            small += _too_few_for_folds(survey, name, own)
    for fold in fold_parts(survey):
        counts = count_classes(classes, fold.side, len(survey.class_names), len(fold))
        rows, sides = np.nonzero(counts == 0)
        named = [(survey.class_names[row], fold.names[side]) for row, side in zip(rows, sides, strict=True)]
        absent += [f"{name} in {fold.prefix}, {side}" for name, side in named]
    yield from _some(
        "small_class", "place with too few images of a class", small, "places with too few images of a class"
    )
    yield from _some("missing_class", "class missing", absent, "classes missing")


def count_classes(classes: Array, side: Array, rows: int, columns: int) -> Array:
    """Count images by class and part, int64 (rows, columns); -1 is neither."""
    known = (classes >= 0) & (side >= 0)
    counts = np.zeros((rows, columns), np.int64)
    np.add.at(counts, (classes[known], side[known]), 1)
    return counts


def _too_few_for_folds(survey: Survey, name: str, own: Array) -> Iterator[str]:
    """A class whose images, or patients, outside of the test split are fewer than the folds."""
    pool = np.flatnonzero(own & ~survey.in_split(TEST))
    patients = {survey.patients[image] for image in pool.tolist()}
    told = None not in patients
    count, what = (len(patients), "patient") if told else (len(pool), "image")
    folds = COUNT if survey.folds is None else len(survey.folds)
    if 0 < count < folds:
        yield f"{name} ({counted(count, what)} for {folds} folds)"


def _names(survey: Survey, chosen: Array) -> list[str]:
    return [survey.names[image] for image in np.flatnonzero(chosen)]


def _some(kind: str, what: str, names: Sequence[str], several: str | None = None) -> Iterator[Finding]:
    """One finding, if there are any."""
    if names:
        text = f"{counted(len(names), what, several)}: {few(names)}"
        yield Finding(kind, WARNING, text, len(names), tuple(names))
