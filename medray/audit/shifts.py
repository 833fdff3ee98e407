"""Shifts: splits and folds whose images differ from the rest in class, brightness, sharpness or tone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.audit.balance import SMALL_DIFFERENCE, SMALL_V, Difference, compare_classes, compare_means
from medray.audit.findings import WARNING, Finding
from medray.audit.sides import HELD_OUT, Parts, fold_parts, split_parts
from medray.audit.survey import Survey

LOOKS = {
    "brightness": ("brighter", "darker"), "sharpness": ("sharper", "less sharp"), "tone": ("warmer", "colder"),
}  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """One part and the rest, among the images that can be compared."""

    name: str
    part: Array
    independent: float


def find_shifts(survey: Survey) -> Iterator[Finding]:
    """Compare each split with the others, and what each ready-made fold holds out with what it trains on."""
    compared = list(_compared(survey))
    looks = [name for name in LOOKS if name != "tone" or (survey.measures.channels == 3).any()]
    comparisons = len(compared) * (1 + len(looks))
    classes = survey.classes()
    found = [_class_difference(classes, one) for one in compared]
    told = [
        f"{one.name} (Cramér's V {own.effect:.2f})"
        for one, own in zip(compared, found, strict=True)
        if own and own.stands_out(SMALL_V, comparisons)
    ]
    if told:
        text = f"other shares of classes: {', '.join(told)}"
        yield Finding("class_balance", WARNING, text, len(told), tuple(told))
    for name in looks:
        yield from _look(survey, name, compared, comparisons)


def _compared(survey: Survey) -> Iterator[Compared]:
    splits = split_parts(survey)
    if len(splits) > 1:
        for number, name in enumerate(splits.names[: 1 if len(splits) == 2 else None]):
            yield _one(survey, name, splits, number)
    for fold in fold_parts(survey):
        yield _one(survey, f"{fold.prefix}, {HELD_OUT}", fold, 1)


def _one(survey: Survey, name: str, parts: Parts, number: int) -> Compared:
    """`part` is 1 for the part, 0 for the rest and -1 for images in neither, or that can't be read."""
    part = np.where(parts.side < 0, -1, parts.side == number)
    part[~survey.measures.readable] = -1
    images = int((part >= 0).sum())
    known = [survey.patients[image] for image in np.flatnonzero(part >= 0)]
    patients = len(set(known)) if known and None not in known else images
    return Compared(name, part, patients / max(images, 1))


def _class_difference(classes: Array, one: Compared) -> Difference | None:
    known = (one.part >= 0) & (classes >= 0)
    return compare_classes(classes[known], one.part[known] == 1, one.independent)


def _look(survey: Survey, name: str, compared: list[Compared], comparisons: int) -> Iterator[Finding]:
    values = getattr(survey.measures, name).astype(np.float64)
    if name == "sharpness":
        values = np.log1p(values)  # it differs by factors: a few very sharp images would decide its mean
    told = []
    for one in compared:
        known = one.part >= 0
        found = compare_means(values[known], one.part[known] == 1, one.independent)
        if found and found.stands_out(SMALL_DIFFERENCE, comparisons):
            told.append(f"{one.name} is {LOOKS[name][found.effect < 0]} by {abs(found.effect):.2f} SD")
    if told:
        yield Finding(name, WARNING, ", ".join(told), len(told), tuple(told))
