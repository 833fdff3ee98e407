"""Recognise the layout of folders: which of them stand above those of the classes, and what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medray.data.listing.exclude import hint_to_exclude
from medray.data.listing.file_tree import IMAGE_SUFFIXES, FileTree
from medray.data.listing.folder_names import fold_number, folder_split, names_fold, split_named, splits_in
from medray.data.listing.folders.folder_image import FOLD, HELD_OUT, PATIENT, SPLIT, SUBGROUP, WRAPPER
from medray.data.listing.folders.levels import FolderLevel
from medray.data.listing.folders.looks import FILES, looks_like
from medray.data.listing.folders.not_classes import refuse_as_classes, refuse_beside_classes
from medray.data.listing.folders.split_folders import check_folds, check_splits
from medray.data.listing.listing import TEST, TRAIN
from medray.data.source import PATIENTS, SUBGROUPS
from medray.errors import DataError, printable
from medray.text import plural

MOST_NAMED = 4  # files that a line names
AS_TABLE = ", or a table (csv:) names the class of each image"
ABOVE = "above"  # the patients option's word for folders of patients above those of the classes


@dataclass(frozen=True)
class AskedLevels:
    """The levels above the classes that a source's options name.

    `subgroups` are the names of subgroups whose folders stand above those of the classes, the outermost first;
    `patients` says that there are folders of patients below these. `guess` is False where the option `subgroups`
    is empty: then only folders that are named exactly as splits or folds stand above the classes.
    """

    subgroups: tuple[str, ...] = ()
    patients: bool = False
    guess: bool = True

    @classmethod
    def from_options(cls, options: Mapping[str, str], source: str) -> "AskedLevels":
        """Read the options.

        Raises:
            DataError: a name is given twice.
        """
        text = options.get(SUBGROUPS)
        names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
        if len(set(names)) < len(names):
            raise DataError(f"option '{SUBGROUPS}' names a subgroup twice", file=source)
        return cls(names, options.get(PATIENTS) == ABOVE, guess=text is None or bool(names))

    @property
    def levels(self) -> list[str]:
        """The kinds of levels, the outermost first."""
        return [SUBGROUP] * len(self.subgroups) + [PATIENT] * self.patients


def find_levels(tree: FileTree, asked: AskedLevels | None = None) -> tuple[str, ...]:
    """Return what the folders above those of the classes are, the outermost first, such as folds and splits.

    Folders that all hold the same folders are no classes: they are splits, folds, or what `asked` says of them.

    Raises:
        DataError: there are no images, some lie beside class folders, folders of splits or folds are not as they
            must be, or there are folders above the classes that nothing says the meaning of.
    """
    asked = asked or AskedLevels()
    if not tree.images:
        first = (
            f" ({len(tree.ignored)} other files, the first '{printable(tree.ignored[0])}')" if tree.ignored else ""
        )
        raise DataError(f"{tree.root}: no images{first}; valid: {', '.join(sorted(IMAGE_SUFFIXES))}")
    levels: list[str] = []
    remaining = asked.levels
    while kind := _kind_of_level(tree, levels, remaining, guess=asked.guess):
        levels.append(kind)
        if kind in remaining:
            remaining.remove(kind)
    depth = len(levels)
    loose = [image for image in tree.images if image.count("/") <= depth]
    if depth == 0 and len(loose) == len(tree.images):
        raise DataError(
            f"{tree.root}: {len(loose)} images but no class folders; each class needs a folder{AS_TABLE}"
        )
    if loose:
        names = " and ".join([*asked.subgroups, *["patients"] * asked.patients])
        why = f"; the source's options take {plural(depth, 'level')} of folders above for {names}" if names else ""
        count = "an image lies" if len(loose) == 1 else f"{len(loose)} images lie"
        raise DataError(
            f"{tree.root}: {count} beside the folders and not in a class's, the first '{printable(loose[0])}'"
            f"{why or _way_out_of_loose(tree, loose, depth)}"
        )
    return tuple(levels)


def _way_out_of_loose(tree: FileTree, loose: Sequence[str], depth: int) -> str:
    """Return the end of a refusal of images that lie in no class's folder: what to leave out, or a table."""
    if len(loose) == len(tree.images):
        return AS_TABLE
    lie_in = sorted({image.rpartition("/")[0] for image in loose} - {""})
    inside = [image for image in tree.images if image.startswith(tuple(f"{folder}/" for folder in lie_in))]
    if len(inside) == len(loose):
        return hint_to_exclude(*lie_in)
    names = sorted({image.rpartition("/")[2] for image in loose})
    fitting = [
        image for image in tree.images if image.rpartition("/")[2].casefold() in {*map(str.casefold, names)}
    ]
    return hint_to_exclude(*names) if len(fitting) == len(loose) <= MOST_NAMED else "; move them elsewhere"


def _kind_of_level(tree: FileTree, levels: Sequence[str], remaining: Sequence[str], *, guess: bool) -> str | None:
    """Return what the folders below those of `levels` are, None if they are classes."""
    level = FolderLevel.of(tree.images, len(levels))
    parents = level.parents or ("",)
    if levels and levels[-1] == FOLD:
        return SPLIT
    if not {SPLIT, FOLD, HELD_OUT} & {*levels}:
        folders = [path.rpartition("/")[2] for path in tree.folders if path.count("/") == len(levels)]
        if _are_folds(level, folders, guess=guess and not remaining):
            splits = any(split_named(name) or TRAIN in splits_in(name)[0] for name in level.spelled.values())
            check_folds(tree, parents, hold_splits=splits)
            return FOLD if splits else HELD_OUT
        if _are_splits(level, folders, guess=guess):
            check_splits(tree, parents, each=False)
            return SPLIT
    if not level.names:
        return None
    if {SPLIT, HELD_OUT} & {*levels} and _are_wrappers(level):
        return WRAPPER
    folds = [name for name in level.names if names_fold(name) and level.holds[name]]
    if SPLIT in levels and folds:
        where = printable(level.parents[0].rstrip("/"))
        raise DataError(
            f"{tree.root}: fold folders lie below '{where}', such as '{printable(folds[0])}'; they must stand "
            "above those of the splits"
        )
    if remaining:
        return remaining[0]
    if guess:
        refuse_as_classes(tree, level, levels)
        refuse_beside_classes(tree, level)
    return None


def _are_folds(level: FolderLevel, folders: Sequence[str], *, guess: bool) -> bool:
    """Return whether the folders are folds: by the word fold, or by a like name if they hold the same folders.

    `folders` are the names of all folders of the level, of those without images too.
    """
    if any(map(names_fold, folders)):
        return True
    numbered = [name for name in level.names if fold_number(name) is not None]
    others = {*level.names} - {*numbered}
    return guess and len(numbered) > 1 and {*map(folder_split, others)} <= {TEST} and bool(level.same_below())


def _are_splits(level: FolderLevel, folders: Sequence[str], *, guess: bool) -> bool:
    """Return whether the folders are splits.

    They are by an exact name of train, or exact names of all that have images. Words in longer names count if they
    name two splits and the folders hold the same ones, or the names are the same but for the word.
    """
    if any(split_named(name) == TRAIN for name in folders):
        return True
    if level.names and all(map(split_named, level.names)):
        return True
    if not guess:
        return False
    read = {name: splits_in(name) for name in level.names}
    named = [name for name, (splits, _) in read.items() if splits]
    if len({split for name in named for split in read[name][0]}) < 2:
        return False
    if level.same_below(named):
        return True
    trained = any(folder_split(name) == TRAIN and "train" in name.lower() for name in named)
    once = {folder_split(name) for name in named}
    alike = len({read[name][1] for name in named}) == 1
    return trained and len(named) == len(once) and None not in once and alike


def _are_wrappers(level: FolderLevel) -> bool:
    """Return whether each folder is its parent's only one, named as that or as images are, and holds folders."""
    if len(level.paths) > len(level.parents) or level.direct:
        return False
    parents = [parent.rstrip("/").rpartition("/")[2] for parent in level.parents]
    return looks_like(level.names) == FILES or {*level.names} == {*parents}
