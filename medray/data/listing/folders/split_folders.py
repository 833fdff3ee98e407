"""Check folders of splits and folds: each is there once, none is empty or beside them, train is there."""

from collections.abc import Sequence

from medray.data.listing.exclude import hint_to_exclude
from medray.data.listing.file_tree import FileTree
from medray.data.listing.folder_names import SPLIT_NAMES, fold_number, folder_split, splits_in
from medray.data.listing.listing import CALIBRATION, TEST, TRAIN
from medray.errors import DataError, nearest, printable

VALID = f"{', '.join(SPLIT_NAMES)}, holdout, calibration, in upper or lower case, alone or with more words"


def check_folds(tree: FileTree, parents: Sequence[str], *, hold_splits: bool) -> None:
    """Check that each folder below the `parents` is a fold's of its own number, and those of splits within.

    Beside folds that hold no splits there may be a test folder.

    Raises:
        DataError: one is not, or some hold splits and others do not.
    """
    for parent in parents:
        numbers: dict[int, str] = {}
        filled = tree.image_subfolders(parent)
        for name in tree.subfolders(parent):
            number = fold_number(name)
            if number is None and name in filled and (hold_splits or folder_split(name) != TEST):
                raise DataError(
                    f"{tree.root / parent}: '{printable(name)}' lies beside fold folders; valid: names such as "
                    f"Fold0{hint_to_exclude(name)}"
                )
            if number is not None and numbers.setdefault(number, name) != name:
                raise DataError(
                    f"{tree.root / parent}: two folders are fold {number}: '{numbers[number]}' and '{name}'"
                )
        if hold_splits:
            check_splits(tree, [f"{parent}{name}/" for name in numbers.values()], each=True)


def check_splits(tree: FileTree, parents: Sequence[str], *, each: bool) -> None:
    """Check that each folder below the `parents` is a split's, none is there twice or empty, and train is there.

    Train is there below one of the parents, or below each where `each` says so, as in folds.

    Raises:
        DataError: it is not so.
    """
    folders: dict[str, str] = {}
    for parent in parents:
        if each:
            folders = {}
        folders |= _split_folders(tree, parent)
        if each and CALIBRATION in folders:
            raise DataError(
                f"{tree.root / parent}: '{folders[CALIBRATION]}' is a calibration split within a fold; one that "
                f"no fold trains on stands in a table's split column{hint_to_exclude(folders[CALIBRATION])}"
            )
        if each and TRAIN not in folders:
            _refuse_without_train(tree, parent, folders)
    if TRAIN not in folders:
        _refuse_without_train(tree, parents[0], folders)


def _split_folders(tree: FileTree, parent: str) -> dict[str, str]:
    """Return the folder of each split below a parent."""
    where, filled = tree.root / parent, tree.image_subfolders(parent)
    folders: dict[str, str] = {}
    for name in tree.subfolders(parent):
        splits, others = splits_in(name)
        split = folder_split(name)
        if split is None and name in filled:
            several = f" and names {' and '.join(sorted(splits))}" if splits else nearest(name, SPLIT_NAMES)
            raise DataError(
                f"{where}: '{printable(name)}' lies where split folders do{several}; valid: {VALID}"
                f"{hint_to_exclude(name)}"
            )
        if split and name not in filled and not others:
            raise DataError(f"{where}: the {split} split's folder '{name}' holds no classes with images")
        if split and name in filled and folders.setdefault(split, name) != name:
            raise DataError(
                f"{where}: two folders are the {split} split: '{folders[split]}' and '{printable(name)}'"
                f"{hint_to_exclude(name)}"
            )
    return folders


def _refuse_without_train(tree: FileTree, parent: str, folders: dict[str, str]) -> None:
    others = ", ".join(folders.values()) or "no split folders"
    raise DataError(f"{tree.root / parent}: no folder for train, only {others}; valid: {VALID}")
