"""From the labels as a source has them to one class for each image: what is merged, blank, several or rare."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array
from medray.data.listing.folder_names import tidy
from medray.data.listing.listing import BLANK, SEVERAL, ListedImage, Listing
from medray.data.listing.table_blanks import to_keep
from medray.errors import DataError, printable, unknown_choice_line
from medray.space.preparation import DROP, FIRST, Labels


@dataclass(frozen=True)
class Labelled:
    """Positions (n,) of a listing's images that are kept, their classes int64 (n,), and what was left out."""

    positions: Array
    labels: Array
    class_names: tuple[str, ...]
    notes: tuple[str, ...]

    def without(self, places: list[int]) -> "Labelled":
        """The same without those at `places` of `positions`."""
        return replace(self, positions=np.delete(self.positions, places), labels=np.delete(self.labels, places))


def choose_labels(listing: Listing, rules: Labels) -> Labelled:
    """Give each image its class; classes stand in the order of their names.

    A label that is there twice is one label. Classes are merged before all else.

    Raises:
        DataError: a label is blank or several and `rules` do not say what becomes of it, one class is left, or
            a class to merge is not there.
    """
    listing, notes = merged(listing, rules.merge)
    blank = [one for one in listing.images if not one.labels]
    several = [one for one in listing.images if len(set(one.labels)) > 1]
    if blank and rules.blank != DROP:
        other = ", `?none=NAME` behind the source gives them a label of their own" if listing.class_columns else ""
        raise DataError(
            f"{listing.source}: {_count(blank, 'blank label')}; `labels: {{blank: drop}}` leaves such images out"
            f"{other}{to_keep(listing.read_as_blank)}"
        )
    if several and rules.multiple not in (DROP, FIRST):
        raise DataError(
            f"{listing.source}: {_count(several, 'image')} with several labels; `labels: {{multiple: drop}}` "
            "leaves such images out, `first` takes the first label"
        )
    if blank:
        notes.append(f"left out: {_count(blank, 'blank label')}")
    if several:
        done = "left out" if rules.multiple == DROP else "first label taken"
        notes.append(f"{done}: {_count(several, 'image')} with several labels")
    most = 1 if rules.multiple == DROP else max((len(one.labels) for one in listing.images), default=1)
    kept = [
        (place, one.labels[0]) for place, one in enumerate(listing.images) if 1 <= len(set(one.labels)) <= most
    ]
    counts = Counter(label for _, label in kept)
    rare = {label: count for label, count in counts.items() if count < rules.min_count}
    if rare:
        told = ", ".join(f"{label} ({count})" for label, count in sorted(rare.items()))
        notes.append(f"left out: classes of fewer than {rules.min_count} images: {told}")
    names = tuple(sorted(set(counts) - set(rare)))
    if len(names) < 2:
        raise DataError(f"{listing.source}: {len(names)} class left ({', '.join(names)}); at least two are needed")
    index = {name: place for place, name in enumerate(names)}
    kept = [(place, label) for place, label in kept if label in index]
    return Labelled(
        positions=np.array([place for place, _ in kept], dtype=np.int64),
        labels=np.array([index[label] for _, label in kept], dtype=np.int64),
        class_names=names,
        notes=tuple(notes),
    )


def _count(images: Iterable[ListedImage], what: str) -> str:
    found = list(images)
    return f"{len(found)} {what}{'s' if len(found) > 1 else ''} (first: {found[0].where})"


def merged(listing: Listing, merge: Mapping[str, tuple[str, ...]]) -> tuple[Listing, list[str]]:
    """Return the listing with the classes in the lists of `merge` called by its keys, and a line that counts each.

    An image whose several labels become one class has one label.

    Raises:
        DataError: a class is not the source's, or a key is the name of a class that is not in its own list.
    """
    counts = Counter(label for one in listing.images for label in dict.fromkeys(one.labels))
    # A table may name a class of whose images no file is there.
    known = {*counts, *(set(listing.rows) - {BLANK, SEVERAL})}
    names: dict[str, str] = {}
    notes = []
    for written, parts in merge.items():
        name, own = printable(tidy(written)), [printable(tidy(part)) for part in parts]
        _check(listing.source, name, own, known)
        names |= dict.fromkeys(own, name)
        told = ", ".join(f"{part} ({counts[part]})" for part in own)
        notes.append(f"merged into one class, {name}: {told}")
    images = tuple(
        replace(one, labels=tuple(names.get(label, label) for label in one.labels)) for one in listing.images
    )
    return replace(listing, images=images), notes


def _check(source: str, name: str, parts: list[str], known: set[str]) -> None:
    for part in parts:
        if part not in known:
            raise DataError(f"{source}: labels.merge.{name}: {unknown_choice_line('class', part, known)}")
    if name in known and name not in parts:
        raise DataError(
            f"{source}: labels.merge.{name}: '{name}' is a class of the source too; put it into the list, or "
            "give the merged class another name"
        )
