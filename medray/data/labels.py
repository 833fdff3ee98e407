"""Give each listed image one class: merge classes, and leave out blank, several and rare labels as asked."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array
from medray.data.listing.folder_names import tidy
from medray.data.listing.listing import BLANK, SEVERAL, Listing
from medray.data.listing.tables.blanks import hint_to_keep
from medray.errors import DataError, printable, unknown_choice_line
from medray.space.preparation import DROP, FIRST, Labels
from medray.text import natural_order, plural


@dataclass(frozen=True)
class Labelled:
    """Positions (n,) of a listing's images that are kept, their classes, and what was left out.

    `labels` are int64 (n,), or (n, classes) where images have several.
    """

    positions: Array
    labels: Array
    class_names: tuple[str, ...]
    notes: tuple[str, ...]

    def without(self, indices: list[int]) -> "Labelled":
        """Return the same without the images at `indices` of `positions`."""
        return replace(
            self, positions=np.delete(self.positions, indices), labels=np.delete(self.labels, indices, axis=0)
        )


def choose_labels(listing: Listing, rules: Labels) -> Labelled:
    """Give each image its class, after classes are merged; class names are in natural order.

    A label that an image has twice counts once.

    Raises:
        DataError: an image has no label or several and `rules` do not say what to do with it, fewer than two
            classes are left, or a class to merge or to leave out does not exist.
    """
    listing, notes = merge_classes(listing, rules.merge)
    notes += note_unclear_labels(listing, rules)
    kept = {
        position: image.labels[0]
        for position, image in enumerate(listing.images)
        if image.labels and not image.uncertain and (rules.multiple == FIRST or len(set(image.labels)) == 1)
    }
    counts = Counter(kept.values())
    for name in rules.leave_out:
        if name not in counts:
            raise DataError(
                unknown_choice_line("class", name, counts), file=listing.source, key="labels.leave_out"
            )
        notes.append(f"left out, as asked: class {name} ({counts.pop(name)})")
    rare = {label: counts[label] for label in natural_order(counts) if counts[label] < rules.min_count}
    if rare:
        classes = ", ".join(f"{label} ({count})" for label, count in rare.items())
        notes.append(f"left out: classes of fewer than {rules.min_count} images: {classes}")
    names = tuple(natural_order(set(counts) - set(rare)))
    if len(names) < 2:
        raise DataError(f"{listing.source}: {len(names)} class left ({', '.join(names)}); at least two are needed")
    kept = {position: label for position, label in kept.items() if label in names}
    numbers = {name: number for number, name in enumerate(names)}
    return Labelled(
        positions=np.array(list(kept), dtype=np.int64),
        labels=np.array([numbers[label] for label in kept.values()], dtype=np.int64),
        class_names=names,
        notes=tuple(notes),
    )


def note_unclear_labels(listing: Listing, rules: Labels) -> list[str]:
    """Return notes on the images with uncertain labels, without a label and with several.

    Raises:
        DataError: there are some, and `rules` do not say what to do with them.
    """
    notes = []
    uncertain = [image.where for image in listing.images if image.uncertain]
    blank = [image.where for image in listing.images if not image.labels and not image.uncertain]
    several = [image.where for image in listing.images if len(set(image.labels)) > 1 and not image.uncertain]
    if uncertain:
        notes.append(f"left out: {plural(len(uncertain), 'image')} (first: {uncertain[0]}) with uncertain labels")
    if blank:
        problem = f"{plural(len(blank), 'blank label')} (first: {blank[0]})"
        if rules.blank != DROP:
            relabel = ", `?none=NAME` behind the source gives them a label of their own"
            raise DataError(
                f"{listing.source}: {problem}; `labels: {{blank: drop}}` leaves such images out"
                f"{relabel if listing.class_columns else ''}{hint_to_keep(listing.read_as_blank)}"
            )
        notes.append(f"left out: {problem}")
    if several:
        problem = f"{plural(len(several), 'image')} (first: {several[0]}) with several labels"
        if rules.multiple not in (DROP, FIRST):
            raise DataError(
                f"{listing.source}: {problem}; `labels: {{multiple: drop}}` leaves such images out, `first` takes "
                "the first label, and `task: several` takes them all"
            )
        notes.append(f"{'left out' if rules.multiple == DROP else 'first label taken'}: {problem}")
    return notes


def merge_classes(listing: Listing, merge: Mapping[str, tuple[str, ...]]) -> tuple[Listing, list[str]]:
    """Return the listing with the classes in the lists of `merge` renamed to its keys, and a note on each key.

    An image whose several labels become one class has one label.

    Raises:
        DataError: the source has no such class, or a key is the name of a class that is not in its own list.
    """
    counts = Counter(label for image in listing.images for label in dict.fromkeys(image.labels))
    # A table may name a class none of whose images has a file.
    classes = {*counts, *(set(listing.rows) - {BLANK, SEVERAL})}
    names: dict[str, str] = {}
    notes = []
    for written, members in merge.items():
        name, parts = printable(tidy(written)), [printable(tidy(member)) for member in members]
        key = f"labels.merge.{name}"
        for part in parts:
            if part not in classes:
                raise DataError(unknown_choice_line("class", part, classes), file=listing.source, key=key)
        if name in classes and name not in parts:
            raise DataError(
                f"'{name}' is a class of the source too; put it into the list, or give the merged class "
                "another name",
                file=listing.source,
                key=key,
            )
        names |= dict.fromkeys(parts, name)
        notes.append(f"merged into one class, {name}: {', '.join(f'{part} ({counts[part]})' for part in parts)}")
    images = tuple(
        replace(
            image,
            labels=tuple(names.get(label, label) for label in image.labels),
            uncertain=tuple(names.get(label, label) for label in image.uncertain),
        )
        for image in listing.images
    )
    return replace(listing, images=images), notes
