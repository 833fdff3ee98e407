"""Contents: files that can't be used, labels that say nothing or too much, classes of too few images."""

from collections.abc import Iterator, Sequence

import numpy as np

from medray._types import Array
from medray.audit.findings import WARNING, Finding
from medray.audit.sides import Parts, fold_parts, split_parts
from medray.audit.survey import ImageRecords, Survey
from medray.data.folds import FOLD_COUNT
from medray.data.listing.listing import TEST
from medray.data.similarity.duplicates import FLAT
from medray.text import first_names, plural

LEAST_IN_SPLIT = 2
USUAL_SPLITS = 3


def find_unusable(survey: Survey) -> Iterator[Finding]:
    """Yield a finding for each kind of files and rows that a training can't use, or only after a decision."""
    measures, labelled = survey.measures, list(zip(survey.names, survey.labels, strict=True))
    unreadable = [f"{survey.names[i]}: {measures.problem[i]}" for i in np.flatnonzero(~measures.readable)]
    uniform = [survey.names[i] for i in np.flatnonzero(measures.readable & (measures.contrast < FLAT))]
    masks = [survey.names[i] for i in np.flatnonzero(measures.readable & (measures.levels == 2))]
    if len(masks) == int((measures.readable & (measures.levels != 1)).sum()):
        masks = []  # drawings, all of them
    blank = [survey.names[image] for image in survey.blank_images]
    multiple = [f"{name} ({', '.join(labels)})" for name, labels in labelled if len(labels) > 1]
    if survey.label_sets:
        multiple = []  # all of them count
    yield from _warn("unreadable", unreadable, "unreadable image")
    yield from _warn("uniform", uniform, "uniform image")
    which = "of two values only, as masks have, where others have more"
    yield from _warn("two_valued", masks, f"image {which}", f"images {which}")
    yield from _warn("blank_labels", blank, "image without a label", "images without a label")
    yield from _warn("multiple_labels", multiple, "image with several labels", "images with several labels")
    for kind, noun, column in (
        ("missing_splits", "split", survey.splits), ("missing_patients", "patient", survey.patients),
    ):  # fmt: skip
        without = [name for name, value in zip(survey.names, column, strict=True) if value is None]
        if len(without) < len(survey):
            rest = f"without a {noun}, where others have one"
            yield from _warn(kind, without, f"image {rest}", f"images {rest}")
    yield from _warn("missing_files", survey.missing, "row without a file", "rows without a file")
    yield from _warn("ignored_files", survey.ignored, "ignored file")


def find_small_classes(records: ImageRecords) -> Iterator[Finding]:
    """Yield a finding for classes with too few images, or patients, for splits and folds, and for missing ones."""
    splits, answers, outside_test = split_parts(records), records.answers(), ~records.in_split(TEST)
    folds = FOLD_COUNT if records.folds is None else len(records.folds)
    small, missing = [], []
    counts = count_classes(records, splits)
    for index, name in enumerate(records.class_names):
        for split, count in zip(splits.names, counts[index].tolist(), strict=True):
            if count == 0:
                missing.append(f"{name} in {split}")
            elif count < LEAST_IN_SPLIT:
                small.append(f"{name} ({plural(count, 'image')} in {split})")
        images = np.flatnonzero(answers[:, index] == 1)
        if not len(splits) and len(images) < LEAST_IN_SPLIT * USUAL_SPLITS:
            small.append(f"{name} ({plural(len(images), 'image')} for {USUAL_SPLITS} splits)")
            continue
        pool = images[outside_test[images]]
        patients = {records.patients[image] for image in pool.tolist()}
        count, noun = (len(pool), "image") if None in patients else (len(patients), "patient")
        if 0 < count < folds:
            small.append(f"{name} ({plural(count, noun)} for {folds} folds)")
    for fold in fold_parts(records):
        for index, side in np.argwhere(count_classes(records, fold) == 0).tolist():
            missing.append(f"{records.class_names[index]} in {fold.prefix}, {fold.names[side]}")
    few_images = "too few images of a class"
    yield from _warn("small_class", small, f"place with {few_images}", f"places with {few_images}")
    yield from _warn("missing_class", missing, "missing class", "missing classes")


def count_classes(records: ImageRecords, parts: Parts) -> Array:
    """Count the images of each class in each part, int64 (classes, parts)."""
    inside = parts.side[:, None] == np.arange(len(parts))
    counts: Array = (records.answers() == 1).astype(np.int64).T @ inside
    return counts


def _warn(kind: str, names: Sequence[str], noun: str, nouns: str | None = None) -> Iterator[Finding]:
    """Yield one warning that counts the names, if there are any."""
    if names:
        text = f"{plural(len(names), noun, nouns)}: {first_names(names)}"
        yield Finding(kind, WARNING, text, len(names), tuple(names))
