"""Classes of a source that become one, as `labels: {merge: ...}` of a search space says."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from medray.data.listing.folder_names import tidy
from medray.data.listing.listing import BLANK, SEVERAL, Listing
from medray.errors import DataError, shown, unknown


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
        name, own = shown(tidy(written)), [shown(tidy(part)) for part in parts]
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
            raise DataError(f"{source}: labels.merge.{name}: {unknown('class', part, known)}")
    if name in known and name not in parts:
        raise DataError(
            f"{source}: labels.merge.{name}: '{name}' is a class of the source too; put it into the list, or "
            "give the merged class another name"
        )
