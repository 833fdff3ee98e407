"""Fold folders: the same image stands in many of them, under any name, and is listed once."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medray._types import Array
from medray.data.cache.file_hashes import hash_file
from medray.data.dataset import Fold
from medray.data.listing.folder_image import Placed
from medray.data.listing.listing import TEST, TRAIN, VAL
from medray.data.listing.scan import size_of
from medray.errors import DataError, LeakError, printable

SHOWN = 3  # leaks of how many there are


def join_folds(root: Path, placed: Sequence[Placed]) -> tuple[list[Placed], tuple[Fold, ...] | None, list[str]]:
    """Return the images, each once and sorted by path; the folds, as positions of them; and what to note.

    Images are the same where their bytes are. Their splits are those of the first fold, None where it does not
    have them. There are no folds where the fold folders have no val.

    Raises:
        DataError: an image has two classes, or only some folds have a val.
        LeakError: images stand in two splits of one fold.
    """
    groups = list(_groups(root, sorted(placed, key=lambda image: (image.fold_order, image.path))))
    leaks = [leak for copies in groups for leak in _check_copies(root, copies)]
    if leaks:
        raise LeakError(
            f"{root}: leak: {len(leaks)} {'image is' if len(leaks) == 1 else 'images are'} in two splits of one "
            f"fold: {'; '.join(leaks[:SHOWN])}" + (f" and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else "")
        )
    groups.sort(key=lambda copies: copies[0].path)
    names = sorted({(image.fold_order, image.fold or "") for image in placed})
    folders = [name for _, name in names]
    kept = [_first(copies, folders[0]) for copies in groups]
    folds = _folds(root, groups, folders)
    return kept, folds, _notes(groups, kept, folders, folds)


# -- which files are the same


def _groups(root: Path, placed: Sequence[Placed]) -> Iterable[list[Placed]]:
    """The copies of each image; only files of a size that another has are read."""
    sizes = [size_of(root / image.path) for image in placed]
    counts = Counter(sizes)
    hashes: dict[tuple[int, int], str] = {}
    found: dict[str, list[Placed]] = defaultdict(list)
    for image, size in zip(placed, sizes, strict=True):
        alike = bool(size) and counts[size] > 1  # an empty file is a copy of nothing
        digest = _hash(root / image.path, hashes) if alike else None
        found[digest or f"/{image.path}"].append(image)
    return found.values()


def _hash(path: Path, known: dict[tuple[int, int], str]) -> str | None:
    """SHA-256 of a file, None if it can't be read; one that is linked under many names is read once."""
    try:
        stat = path.stat()
        identity = stat.st_dev, stat.st_ino
        if identity not in known:
            known[identity] = hash_file(path)
        return known[identity]
    except OSError:
        return None


def _check_copies(root: Path, copies: Sequence[Placed]) -> Iterator[str]:
    """The leaks of one image: two splits of a fold that both have it."""
    first = copies[0]
    splits: dict[str | None, Placed] = {}
    for image in copies:
        names = f"'{printable(first.path)}' and '{printable(image.path)}'"
        if image.label != first.label:
            raise DataError(f"{root}: one image is of class '{first.label}' and '{image.label}': {names}")
        other = splits.setdefault(image.fold, image)
        if other.split != image.split:
            names = f"'{printable(other.path)}' and '{printable(image.path)}'"
            yield f"{other.split} and {image.split} of {image.fold}: {names}"


# -- what the folds say


def _first(copies: Sequence[Placed], first_fold: str) -> Placed:
    """The first copy; an image that the first fold lacks has no split."""
    image = copies[0]
    return image if image.fold == first_fold else replace(image, split=None)


def _folds(root: Path, groups: Sequence[Sequence[Placed]], folders: Sequence[str]) -> tuple[Fold, ...] | None:
    parts: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for position, copies in enumerate(groups):
        for fold, split in {(image.fold or "", image.split) for image in copies}:
            parts[fold, split].append(position)
    without = [fold for fold in folders if (fold, VAL) not in parts]
    if len(without) == len(folders):
        return None
    if without:
        raise DataError(f"{root}: {', '.join(without)} has no val, but other fold folders have")
    return tuple(Fold(_positions(parts[fold, TRAIN]), _positions(parts[fold, VAL])) for fold in folders)


def _positions(found: list[int]) -> Array:
    return np.array(found, dtype=np.int64)


def _notes(
    groups: Sequence[Sequence[Placed]],
    kept: Sequence[Placed],
    folders: Sequence[str],
    folds: tuple[Fold, ...] | None,
) -> list[str]:
    count, first = len(folders), folders[0]
    counted = Counter(image.split for image in kept)
    test = f"test is {first}'s (images: {counted[TEST]})" if counted[TEST] else f"{first} has no test"
    files = sum(map(len, groups))
    notes = [
        f"{count} fold folder{'s' * (count > 1)}: {', '.join(folders)}; {test}",
        f"{files} files in fold folders are {len(groups)} images",
    ]
    if folds is None:
        notes.append(f"the fold folders hold no val, so only {first} is used, and no folds are ready-made")
    if counted[None]:
        notes.append(f"images that are not in {first} and so have no split: {counted[None]}")
    return notes
