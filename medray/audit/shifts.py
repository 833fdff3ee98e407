"""Shifts: splits and folds whose images differ from the rest in class, brightness, sharpness or tone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.audit.balance import SMALL_DIFFERENCE, SMALL_V, compare_classes, compare_means
from medray.audit.findings import WARNING, Finding
from medray.audit.sides import HELD_OUT, Parts, fold_parts, split_parts
from medray.audit.survey import Survey

LOOKS = {
    "brightness": ("brighter", "darker"), "sharpness": ("sharper", "less sharp"), "tone": ("warmer", "colder"),
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """One part against the rest.

    `images` int64 (m,) are the readable ones of both, `inside` bool (m,) says which of them the part holds, and
    `independent` is the share of them that counts as independent: patients per image.
    """

    name: str
    images: Array
    inside: Array
    independent: float


def find_shifts(survey: Survey) -> Iterator[Finding]:
    """Compare each split with the others, and what each ready-made fold holds out with what it trains on."""
    comparisons = list(_list_comparisons(survey))
    looks = [name for name in LOOKS if name != "tone" or (survey.measures.channels == 3).any()]
    columns = label_columns(survey)
    tests = len(comparisons) * (len(columns) + len(looks))
    names = []
    for part in comparisons:
        for label, column in columns.items():
            classes = column[part.images]
            known = classes >= 0
            difference = compare_classes(classes[known], part.inside[known], part.independent)
            if difference and difference.stands_out(SMALL_V, tests):
                of_label = f"{label}, " if label else ""
                names.append(f"{part.name} ({of_label}Cramér's V {difference.effect:.2f})")
    if names:
        text = f"different shares of classes: {', '.join(names)}"
        yield Finding("class_balance", WARNING, text, len(names), tuple(names))
    for look in looks:
        different = tuple(_different_looks(getattr(survey.measures, look), look, comparisons, tests))
        if different:
            yield Finding(look, WARNING, ", ".join(different), len(different), different)


def label_columns(survey: Survey) -> dict[str, Array]:
    """Return the class of each image, int64 (n,), -1 where not known; of label sets one column for each label."""
    if not survey.label_sets:
        return {"": survey.classes()}
    return dict(zip(survey.class_names, survey.answers().T, strict=True))


def _list_comparisons(survey: Survey) -> Iterator[Comparison]:
    splits = split_parts(survey)
    if len(splits) > 1:
        for index, name in enumerate(splits.names[: 1 if len(splits) == 2 else None]):
            yield _compare_part(survey, name, splits, index)
    for fold in fold_parts(survey):
        yield _compare_part(survey, f"{fold.prefix}, {HELD_OUT}", fold, fold.names.index(HELD_OUT))


def _compare_part(survey: Survey, name: str, parts: Parts, index: int) -> Comparison:
    images = np.flatnonzero((parts.side >= 0) & survey.measures.readable)
    patients = {survey.patients[image] for image in images.tolist()}
    independent = len(images) if None in patients else len(patients)
    return Comparison(name, images, parts.side[images] == index, independent / max(len(images), 1))


def _different_looks(values: Array, look: str, comparisons: list[Comparison], tests: int) -> Iterator[str]:
    values = values.astype(np.float64)
    if look == "sharpness":
        values = np.log1p(values)  # it differs by factors: a few very sharp images would decide its mean
    for part in comparisons:
        difference = compare_means(values[part.images], part.inside, part.independent)
        if difference and difference.stands_out(SMALL_DIFFERENCE, tests):
            word = LOOKS[look][difference.effect < 0]
            yield f"{part.name} is {word} by {abs(difference.effect):.2f} SD"
