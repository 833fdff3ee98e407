"""The order of classes that are grades: as a search space says, or as their names do."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medray.data.dataset import ImageDataset
from medray.errors import DataError, unknown_choice_line

LEAST = 3  # grades: of two classes, one is the other's opposite, and no order says more
#: Words of known scales in their order; equal steps in one tuple.
SCALES: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("none", "no", "normal", "absent", "healthy", "negative"), ("minimal", "trace", "doubtful", "questionable"),
     ("mild", "slight", "low"), ("moderate", "medium", "intermediate"), ("severe", "high", "advanced"),
     ("proliferative", "pdr", "very severe", "extreme", "critical", "end stage")),
    (("benign",), ("atypical", "borderline", "precancerous"), ("in situ",), ("invasive", "malignant")),
    (("early",), ("intermediate",), ("late", "advanced")),
    (("small",), ("medium",), ("large",)),
)  # fmt: skip
#: Endings and beginnings that say nothing of the grade.
_FILLERS = re.compile(
    r"\b(npdr|dr|nonproliferative|non proliferative|diabetic retinopathy|retinopathy|stenosis|disease|grade|"
    r"stage|level|degree)\b"
)
#: "2", "grade 2", "KL3", "BI-RADS 4a", "0_No_DR"
_NUMBERED = re.compile(r"(?:[a-z]+[ _-]*)*(\d+)([a-c]?)(?:[\W_]\D*)?", re.IGNORECASE)


def read_order(class_names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the classes in the order that their names have as grades; None where these don't say one.

    Whole numbers, alone or with one word ("grade 2", "KL3"), or the words of one of `SCALES`.
    """
    numbers = [number for name in class_names if (number := _number(name)) is not None]
    if len(numbers) == len(class_names):
        ranked = sorted(zip(numbers, class_names, strict=True))
        return tuple(name for _, name in ranked) if len({*numbers}) == len(numbers) else None
    words = [re.sub(r"[\W_]+", " ", name.casefold()).strip() for name in class_names]
    bare = [" ".join(_FILLERS.sub(" ", word).split()) for word in words]
    for scale in SCALES:
        steps = [
            next((i for i, step in enumerate(scale) if {*pair} & {*step}), None)
            for pair in zip(words, bare, strict=True)
        ]
        known = [step for step in steps if step is not None]
        if len(known) == len(words) == len({*known}):
            return tuple(name for _, name in sorted(zip(known, class_names, strict=True)))
    return None


def are_grades(class_names: Sequence[str]) -> bool:
    """Return whether these are `LEAST` classes or more, in the order that their names have as grades."""
    return len(class_names) >= LEAST and read_order(class_names) == tuple(class_names)


def find_hole(class_names: Sequence[str]) -> int | None:
    """Return the first whole number that is missing between those of the classes, None if none is."""
    numbers = sorted(number[0] for name in class_names if (number := _number(name)) is not None)
    if len(numbers) < len(class_names):
        return None
    return next((n for n in range(numbers[0], numbers[-1]) if n not in numbers), None)


def in_order_of_grades(dataset: ImageDataset, order: Sequence[str] | None) -> ImageDataset:
    """Return the data set with its classes in the order of grades: `order`, or that of their names.

    Raises:
        DataError: there are fewer than `LEAST`, `order` is not one of the classes, or it is None and the names say
            no order, or have a hole.
    """
    names, source = dataset.class_names, dataset.source
    if len(names) < LEAST:
        raise DataError(
            f"{source}: the order of {' and '.join(names)} says no more than `task: single` does; `task: ordered` "
            f"is for {LEAST} grades or more"
        )
    line = f"`labels: {{order: [{', '.join(names)}]}}`"
    if order is None:
        order = read_order(names)
        if order is None:
            raise DataError(
                f"{source}: the names of the classes don't say their order as grades: {line}, in the right order, "
                "says it; `task: single` takes them in no order"
            )
        if (hole := find_hole(names)) is not None:
            raise DataError(
                f"{source}: grade {hole} is missing between {', '.join(order)}; {line} says that these are all"
            )
    for name in order:
        if name not in names:
            raise DataError(f"labels.order: {unknown_choice_line('class', name, names)}", file=source)
    if missing := [name for name in names if name not in order]:
        raise DataError(f"labels.order lacks {', '.join(missing)}: it must name every class", file=source)
    if tuple(order) == names:
        return dataset
    moved = np.array([list(order).index(name) for name in names], dtype=np.int64)
    original = None if dataset.original is None else in_order_of_grades(dataset.original, order)
    return replace(dataset, labels=moved[dataset.labels], class_names=tuple(order), original=original)


def _number(name: str) -> tuple[int, str] | None:
    """Return the number in a grade's name, and the letter of a grade that is divided, such as 4a."""
    match = _NUMBERED.fullmatch(name.strip())
    return (int(match[1]), match[2].casefold()) if match else None
