"""The labels of other images as those of a run of several labels: present, absent, or unknown.

Unknown is each label that their source does not have, and one that the run merged, where the source has a part of
it alone and that is not there. Where every image there has one label alone, as in folders of classes, that says
nothing of the others: they are unknown too, but for images of the label that means none.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from medray._types import Array
from medray.data.label_sets import choose_label_sets, says_nothing
from medray.data.labels import Labelled
from medray.data.listing.folder_names import tidy
from medray.data.listing.listing import ListedImage, Listing
from medray.data.listing.tables.blanks import hint_to_keep
from medray.data.members import UNKNOWN
from medray.errors import DataError, printable
from medray.evaluate.external.class_map import MappedClass
from medray.space.preparation import DROP, NONE, Labels
from medray.tasks import TASKS
from medray.text import first_names, plural

ONE_EACH = (
    "each image has one label there, which says nothing of others: they count as unknown, but for images of the "
    "label that means none"
)
MOST_NAMED = 20


def none_label(rules: Labels, class_names: Sequence[str], task: str) -> str | None:
    """Return what an image of no label is called: as the space says, else "none"; None where each has a class."""
    if not TASKS[task].label_sets:
        return None
    name = printable(tidy(rules.none)) if rules.none is not None else NONE
    return None if name in class_names else name


def count_labels(
    listing: Listing, class_names: Sequence[str], rules: Labels, class_map: Mapping[str, str | None]
) -> dict[str, int]:
    """Return the images of each label of a listing; one that has a column and becomes the run's may have 0."""
    counts = Counter(label for image in listing.images for label in dict.fromkeys(image.labels))
    columns = dict.fromkeys(listing.label_columns, 0)
    named = {*class_names, *complete_map(columns, rules, class_map)}
    return {**{name: 0 for name in columns if name in named}, **counts}


def complete_map(
    counts: Mapping[str, int], rules: Labels, class_map: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Return `class_map` with the classes that the run's `rules` merge or leave out, where `counts` have them."""
    ours: dict[str, str | None] = {part: name for name, parts in rules.merge.items() for part in parts}
    ours |= dict.fromkeys(rules.leave_out)
    return {**{theirs: name for theirs, name in ours.items() if theirs in counts}, **class_map}


def choose_external_sets(
    listing: Listing, classes: Sequence[MappedClass], class_names: tuple[str, ...], none: str | None, rules: Labels
) -> Labelled:
    """Return the images of which some label is known, with labels int64 (n, classes) of the run's `class_names`.

    `classes` say what becomes of each label of theirs, `none` is what an image of no label is called, and `rules`
    are the run's for blank labels. An image whose label is left out stays: it has the other ones or not.

    Raises:
        DataError: an image has no label and `rules` do not say what that means, `none` stands beside another
            label, or no label of any image is known.
    """
    _check_blank(listing, none, rules)
    one_each = not listing.class_columns and all(len({*image.labels}) < 2 for image in listing.images)
    left_out = {row.theirs: _apart(row.theirs, class_names, none) for row in classes if row.ours is None}
    listing = replace(listing, images=_renamed(listing.images, classes, left_out, none))
    present = {label for image in listing.images for label in image.labels}
    labelled = choose_label_sets(
        listing,
        replace(
            rules,
            merge={},
            min_count=1,
            none=none if none in present else None,
            leave_out=tuple(name for name in left_out.values() if name in present),
        ),
        class_names,
    )
    table = labelled.labels.copy()
    if one_each:
        for row, position in enumerate(labelled.positions.tolist()):
            if {*listing.images[position].labels} - {none}:
                table[row, table[row] == 0] = UNKNOWN
    missing = set_missing(table, classes, class_names, rules.merge)
    notes = [*labelled.notes, *([ONE_EACH] if one_each else []), *missing]
    return with_known(replace(labelled, labels=table, notes=tuple(notes)), listing.source)


def _check_blank(listing: Listing, none: str | None, rules: Labels) -> None:
    columns = listing.class_columns
    blank = [image.where for image in listing.images if says_nothing(image, class_columns=columns)]
    if blank and rules.blank not in (DROP, NONE):
        raise DataError(
            f"{listing.source}: {plural(len(blank), 'blank label')} (first: {blank[0]}), and the run's space does "
            "not say what that means: leave these rows out, or give them a label, and "
            f"`--map LABEL={none}` takes it for an image without any{hint_to_keep(listing.read_as_blank)}"
        )


def label_sets_of_arrays(
    labels: Array, names: Sequence[str], classes: Sequence[MappedClass], class_names: tuple[str, ...],
    none: str | None, rules: Labels, source: str,
) -> Labelled:  # fmt: skip
    """Return the same of `labels` into their `names`: int64 (n,), or (n, names) where an image has several.

    Raises:
        DataError: no label of any image is known.
    """
    ours = {row.theirs: row.ours for row in classes}
    table = np.zeros((len(labels), len(class_names)), dtype=np.int64)
    notes = []
    if labels.ndim == 1:
        notes.append(ONE_EACH)
        is_none = np.array([ours.get(name) == none is not None for name in names])[labels]
        table[~is_none] = UNKNOWN
    for number, name in enumerate(names):
        our = ours.get(name)
        if our is None or our == none:
            continue
        column = table[:, class_names.index(our)]
        marks = labels[:, number] if labels.ndim == 2 else np.where(labels == number, 1, column)
        unsure = (marks == UNKNOWN) & (column != 1)
        column[unsure], column[marks == 1] = UNKNOWN, 1
    notes += set_missing(table, classes, class_names, rules.merge)
    return with_known(Labelled(np.arange(len(labels)), table, class_names, tuple(notes)), source)


def set_missing(
    table: Array, classes: Sequence[MappedClass], class_names: Sequence[str], merge: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Make unknown in `table` (n, classes) what their source can't tell, and note what that is.

    That is each label that it does not have, of every image, and one of which it has only some of the parts that
    the run's `merge` lists, of images without these.
    """
    there = {row.ours for row in classes}
    missing = [name for name in class_names if name not in there]
    table[:, [class_names.index(name) for name in missing]] = UNKNOWN
    notes = []
    if missing:
        names = first_names(missing, MOST_NAMED)
        notes.append(f"labels that are missing there, so unknown of every image and in no figure: {names}")
    partial = {name: parts for name, parts in missing_parts(classes, merge).items() if name in class_names}
    for name in partial:
        column = table[:, class_names.index(name)]
        column[column == 0] = UNKNOWN
    if partial:
        names = first_names([f"{name} (no {', '.join(parts)})" for name, parts in partial.items()], MOST_NAMED)
        notes.append(
            "merged labels of which a part is missing there, so unknown of every image without the other parts: "
            f"{names}"
        )
    return notes


def missing_parts(
    classes: Sequence[MappedClass], merge: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the parts that their source does not have, by each label that the run merges and that it has.

    Where one of theirs that is called as none of the parts is the label, it stands for all of them.
    """
    missing = {}
    for written, listed in merge.items():
        name, parts = printable(tidy(written)), [printable(tidy(part)) for part in listed]
        there = {row.theirs for row in classes if row.ours == name}
        if there and there < {*parts}:
            missing[name] = tuple(part for part in parts if part not in there)
    return missing


def with_known(labelled: Labelled, source: str) -> Labelled:
    """Return the images of which some label is known, and note how many others there were.

    Raises:
        DataError: there is none.
    """
    unknown = np.flatnonzero((labelled.labels == UNKNOWN).all(axis=1)).tolist()
    if len(unknown) == len(labelled.labels):
        raise DataError(f"{source}: no image has a label that the run knows of")
    if not unknown:
        return labelled
    note = f"left out: {plural(len(unknown), 'image')} of which no label is known"
    return replace(labelled.without(unknown), notes=(*labelled.notes, note))


def _apart(theirs: str, class_names: Sequence[str], none: str | None) -> str:
    """Return a name for a label that is left out, which is none of the run's."""
    return f"their {theirs}" if theirs in (*class_names, none) else theirs


def _renamed(
    images: Sequence[ListedImage], classes: Sequence[MappedClass], left_out: Mapping[str, str], none: str | None
) -> tuple[ListedImage, ...]:
    """Return the images with the run's labels; one of no label needs none of those that are left out."""
    # All at once: a label of theirs may be called as one of the run's and be mapped to another.
    names = {**{row.theirs: row.ours for row in classes if row.ours is not None}, **left_out}
    renamed = []
    for image in images:
        labels = tuple(names[label] for label in image.labels)
        if none in labels:
            labels = tuple(label for label in labels if label not in left_out.values())
        renamed.append(
            replace(image, labels=labels, uncertain=tuple(names.get(name, name) for name in image.uncertain))
        )
    return tuple(renamed)
