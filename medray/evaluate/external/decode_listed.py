"""Decode the listed images that an external reading is of: those with a label, or all of cases that have one."""

from dataclasses import replace

import numpy as np

from medray._types import Array, Progress
from medray.data.build import prepare_images
from medray.data.labels import Labelled
from medray.data.listing.listing import Listing
from medray.evaluate.external.case_labels import (
    in_labelled_cases,
    label_by_case,
    note_lost,
    number_listed,
    refuse_without_cases,
    with_unlabelled,
)
from medray.space.preparation import Preparation
from medray.stats.case_rule import CaseRule
from medray.stats.cases import CaseIndex
from medray.text import plural


def decode_listed(
    listing: Listing, labelled: Labelled, rules: Preparation, cases: CaseRule | None, progress: Progress
) -> tuple[Labelled, Array, list[str]]:
    """Return the images that are measured with their labels, the pixels uint8 (n, H, W, C), and notes.

    These are the `labelled` ones. With `cases` they are the readable images of all cases that have a label, each
    image with one of its own or with that of its case (`medray.evaluate.external.case_labels`).

    Raises:
        DataError: the source does not know the cases, or a file is not as `rules` allow.
    """
    if cases is None:
        taken, images, notes = prepare_images(listing, rules, progress, lambda *_: labelled)
        return taken, images.array, notes
    with refuse_without_cases(cases.by):
        numbers = number_listed(listing.images, labelled.positions, cases.by, listing.source)
    table, with_label = with_unlabelled(labelled.labels, labelled.positions, len(listing))
    rows, left_out = in_labelled_cases(numbers, with_label)
    answering = replace(labelled, positions=rows, labels=table[rows])
    taken, images, notes = prepare_images(listing, rules, progress, lambda *_: answering)
    rest = taken.positions
    by_case = label_by_case(taken.labels, with_label[rest], CaseIndex(cases, numbers[rest]))
    kept = rest[by_case.positions]
    pixels = images.array if len(kept) == len(rest) else images.array[by_case.positions]
    notes += [*left_out, *note_lost(numbers[np.setdiff1d(rows, rest)], numbers[kept]), *by_case.notes]
    if listing.missing:
        rows_without = plural(len(listing.missing), "row")
        notes.append(
            f"how many cases answered without an image, for the {rows_without} without a file, is not known"
        )
    return replace(taken, positions=kept, labels=by_case.labels), pixels, notes
