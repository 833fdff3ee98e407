"""Recognise the layout of folders, of classes below those of splits and folds, and refuse all others."""

from collections.abc import Sequence

from medray.data.listing.exclude import hint_to_exclude
from medray.data.listing.file_tree import IMAGE_SUFFIXES, FileTree
from medray.data.listing.folder_image import FolderImage
from medray.data.listing.folder_names import SPLIT_NAMES, fold_number, split_named
from medray.data.listing.listing import TRAIN
from medray.errors import DataError, nearest, printable
from medray.text import natural_order

FLAT, SPLIT, FOLDED = 0, 1, 2  # folders above those of the classes
SPLIT_WORDS = f"{', '.join(SPLIT_NAMES)}, in upper or lower case"


def find_depth(tree: FileTree) -> int:
    """Return how many folders stand above those of the classes: FLAT, SPLIT or FOLDED.

    Raises:
        DataError: there are no images, some lie beside class folders, or folders of splits or folds are not as
            they must be.
    """
    if not tree.images:
        first = (
            f" ({len(tree.ignored)} other files, the first '{printable(tree.ignored[0])}')" if tree.ignored else ""
        )
        raise DataError(f"{tree.root}: no images{first}; valid: {', '.join(sorted(IMAGE_SUFFIXES))}")
    folders, filled = tree.subfolders(), tree.image_subfolders()
    depth = FLAT
    if any(fold_number(name) is not None for name in folders):
        depth = FOLDED
        _check_folds(tree)
    elif any(split_named(name) == TRAIN for name in folders) or (filled and all(map(split_named, filled))):
        depth = SPLIT
        _check_splits(tree)
    loose = [image for image in tree.images if image.count("/") <= depth]
    if depth == FLAT and len(loose) == len(tree.images):
        raise DataError(f"{tree.root}: {len(loose)} images but no class folders; each class needs a folder")
    if loose:
        count = "an image lies" if len(loose) == 1 else f"{len(loose)} images lie"
        raise DataError(
            f"{tree.root}: {count} beside the folders and not in a class's, the first '{printable(loose[0])}'"
        )
    return depth


def _check_folds(tree: FileTree) -> None:
    """Check that each folder is a fold's of its own number and holds folders of splits."""
    numbers: dict[int, str] = {}
    filled = tree.image_subfolders()
    for name in tree.subfolders():
        number = fold_number(name)
        if number is None and name in filled:
            raise DataError(
                f"{tree.root}: '{printable(name)}' lies beside fold folders; valid: names such as Fold0"
            )
        if number is not None and numbers.setdefault(number, name) != name:
            raise DataError(f"{tree.root}: two folders are fold {number}: '{numbers[number]}' and '{name}'")
    for name in numbers.values():
        _check_splits(tree, f"{name}/")


def _check_splits(tree: FileTree, prefix: str = "") -> None:
    """Check that each folder is a split's, none is there twice or empty, and train is there."""
    parent, filled = tree.root / prefix, tree.image_subfolders(prefix)
    folders: dict[str, str] = {}
    for name in tree.subfolders(prefix):
        split = split_named(name)
        if split and folders.setdefault(split, name) != name:
            raise DataError(f"{parent}: two folders are the {split} split: '{folders[split]}' and '{name}'")
        if split is None and name in filled:
            raise DataError(
                f"{parent}: '{printable(name)}' lies where split folders do{nearest(name, SPLIT_NAMES)}; valid: "
                f"{SPLIT_WORDS}{hint_to_exclude(name)}"
            )
        if split and name not in filled:
            raise DataError(f"{parent}: the {split} split's folder '{name}' holds no classes with images")
    if TRAIN not in folders:
        others = ", ".join(folders.values()) or "no split folders"
        raise DataError(f"{parent}: no folder for train, only {others}; valid: {SPLIT_WORDS}")


def check_classes(tree: FileTree, images: Sequence[FolderImage]) -> None:
    """Check that there are classes, all of them in train, and no folders of splits or folds below them.

    Raises:
        DataError: it is not so.
    """
    names = {image.label for image in images}
    if len(names) < 2:
        outer = tree.image_subfolders()
        wrapped = len(outer) == 1 and len(tree.image_subfolders(f"{outer[0]}/")) > 1
        hint = f" (did you mean '{tree.root / outer[0]}'?)" if wrapped else ""
        raise DataError(f"{tree.root}: one class only, '{names.pop()}'; at least two are needed{hint}")
    trained = {(image.fold, image.label) for image in images if image.split in (TRAIN, None)}
    for image in images:
        if (image.fold, image.label) not in trained:
            known = natural_order(label for fold, label in trained if fold == image.fold)
            raise DataError(
                f"{tree.root}: class '{image.label}' of {image.split} is not in train"
                f"{nearest(image.label, known)}; train has: {', '.join(known)} ('{printable(image.path)}')"
            )
        if len(image.below) > 1 and split_named(image.below[0]):
            folder = f"'{printable(image.below[0])}' lies below class '{image.label}'"
            raise DataError(f"{tree.root}: {folder}; split folders must stand above those of the classes")
    if all(fold_number(image.label) is not None for image in images):
        raise DataError(
            f"{tree.root}: fold folders lie below '{printable(images[0].path.partition('/')[0])}'; "
            "they must stand above those of the splits"
        )
