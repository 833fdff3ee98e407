"""Join fold folders: the same image lies in many of them, under any name, and is listed once."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medray.data.cache.file_hashes import hash_file
from medray.data.dataset import Fold
from medray.data.listing.file_tree import file_size
from medray.data.listing.folders.folder_image import FolderImage
from medray.data.listing.listing import TEST, TRAIN, VAL
from medray.errors import DataError, LeakError, printable

LEAKS_NAMED = 3


def merge_folds(
    root: Path, images: Sequence[FolderImage]
) -> tuple[list[FolderImage], tuple[Fold, ...] | None, list[str]]:
    """Return each image once, sorted by path; the folds, as positions of them; and notes.

    Files are one image if their bytes are equal. Its split is that of the first fold, None if it is not in there.
    There are no folds if the fold folders have no val.

    Raises:
        DataError: an image has two classes, or only some folds have a val.
        LeakError: images are in two splits of one fold.
    """
    in_order = sorted(images, key=lambda image: (image.fold_order, image.path))
    groups = sorted(group_identical(root, in_order), key=lambda files: files[0].path)
    leaks = [leak for files in groups for leak in find_leaks(root, files)]
    if leaks:
        more = f" and {len(leaks) - LEAKS_NAMED} more" if len(leaks) > LEAKS_NAMED else ""
        raise LeakError(
            f"{root}: leak: {len(leaks)} {'image is' if len(leaks) == 1 else 'images are'} in two splits of one "
            f"fold: {'; '.join(leaks[:LEAKS_NAMED])}{more}"
        )
    folders = list(dict.fromkeys(image.fold or "" for image in in_order))
    first = folders[0]
    kept = [files[0] if files[0].fold == first else replace(files[0], split=None) for files in groups]
    folds = folds_from_folders(root, groups, folders)
    counts = Counter(image.split for image in kept)
    test = f"test is {first}'s (images: {counts[TEST]})" if counts[TEST] else f"{first} has no test"
    notes = [
        f"{len(folders)} fold folder{'s' * (len(folders) > 1)}: {', '.join(folders)}; {test}",
        f"{len(images)} files in fold folders are {len(groups)} images",
    ]
    if folds is None:
        notes.append(f"the fold folders hold no val, so only {first} is used, and no folds are ready-made")
    if counts[None]:
        notes.append(f"images that are not in {first} and so have no split: {counts[None]}")
    return kept, folds, notes


def hold_out_folders(
    root: Path, images: Sequence[FolderImage]
) -> tuple[list[FolderImage], tuple[Fold, ...] | None, list[str]]:
    """Return the images, the folds of which each holds out the images of one folder, and a note.

    Where a test folder lies beside those of the folds, these are the train split, and no fold has its images.

    Raises:
        DataError: there is one fold folder only.
    """
    in_order = sorted(images, key=lambda image: image.fold_order)
    folders = list(dict.fromkeys(image.held_out for image in in_order if image.held_out is not None))
    if len(folders) < 2:
        raise DataError(f"{root}: one fold folder only, '{folders[0]}', and it holds no split folders")
    of_fold = np.array([folders.index(i.held_out) if i.held_out else -1 for i in images], dtype=np.int64)
    tested = (of_fold < 0).any()
    folds = tuple(
        Fold(np.flatnonzero((of_fold >= 0) & (of_fold != fold)), np.flatnonzero(of_fold == fold))
        for fold in range(len(folders))
    )
    counts = ", ".join(f"{name} ({(of_fold == fold).sum():,})" for fold, name in enumerate(folders))
    kept = [replace(image, split=TRAIN) if tested and image.held_out else image for image in images]
    beside = f"; the test folder's images are in none ({(of_fold < 0).sum():,})" if tested else ""
    return kept, folds, [f"{len(folders)} fold folders without splits, each held out in turn: {counts}{beside}"]


def group_identical(root: Path, images: Sequence[FolderImage]) -> list[list[FolderImage]]:
    """Group files of equal content. Only files of a size that another one has are read, each inode once."""
    sizes = [file_size(root / image.path) for image in images]
    counts = Counter(sizes)
    hashes: dict[tuple[int, int], str] = {}
    groups: dict[str, list[FolderImage]] = defaultdict(list)
    for image, size in zip(images, sizes, strict=True):
        key = f"/{image.path}"
        if size and counts[size] > 1:  # an empty file has no duplicates
            try:
                facts = (root / image.path).stat()
                inode = facts.st_dev, facts.st_ino
                if inode not in hashes:
                    hashes[inode] = hash_file(root / image.path)
                key = hashes[inode]
            except OSError:
                pass  # an unreadable file is an image of its own
        groups[key].append(image)
    return list(groups.values())


def find_leaks(root: Path, files: Sequence[FolderImage]) -> Iterator[str]:
    """Yield a line for each two splits of one fold that both have an image; `files` are all of its files.

    Raises:
        DataError: the image has two classes.
    """
    first = files[0]
    by_fold: dict[str | None, FolderImage] = {}
    for file in files:
        if file.label != first.label:
            names = f"'{printable(first.path)}' and '{printable(file.path)}'"
            raise DataError(f"{root}: one image is of class '{first.label}' and '{file.label}': {names}")
        other = by_fold.setdefault(file.fold, file)
        if other.split != file.split:
            names = f"'{printable(other.path)}' and '{printable(file.path)}'"
            yield f"{other.split} and {file.split} of {file.fold}: {names}"


def folds_from_folders(
    root: Path, groups: Sequence[Sequence[FolderImage]], folders: Sequence[str]
) -> tuple[Fold, ...] | None:
    """Return the fold of each folder as positions of `groups`, None if no folder has a val.

    Raises:
        DataError: only some folders have a val.
    """
    positions: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for position, files in enumerate(groups):
        for key in {(file.fold or "", file.split) for file in files}:
            positions[key].append(position)
    without = [folder for folder in folders if (folder, VAL) not in positions]
    if len(without) == len(folders):
        return None
    if without:
        raise DataError(f"{root}: {', '.join(without)} has no val, but other fold folders have")
    return tuple(
        Fold(*(np.array(positions[folder, split], dtype=np.int64) for split in (TRAIN, VAL))) for folder in folders
    )
