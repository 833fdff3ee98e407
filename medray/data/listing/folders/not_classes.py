"""Refuse folders as classes that all hold the same folders, with what they look like and the way out."""

from collections.abc import Sequence

from medray.data.listing.exclude import hint_to_exclude
from medray.data.listing.file_tree import FileTree
from medray.data.listing.folder_names import comparable, folder_split, is_plain_split, words_of
from medray.data.listing.folders.levels import FolderLevel, shared_names
from medray.data.listing.folders.looks import (
    COPIES,
    FILES,
    FOLDS,
    MAGNIFICATIONS,
    NUMBERS,
    PERSON_WORDS,
    SITES,
    SPLITS,
    SUBGROUP_NAMES,
    are_small_numbers,
    is_copy,
    looks_like,
    name_of_originals,
    unit_named,
)
from medray.data.listing.listing import TRAIN
from medray.data.listing.side_cars.side_words import is_side_name
from medray.data.source import PATIENTS, SUBGROUPS
from medray.errors import DataError, printable
from medray.text import first_names

LEAST_PATIENTS = 3  # folders that may be patients without a word for it
MANY_PERSONS = 8  # folders named by a word that is often, but not always, a person's
MOST_NAMED = 4
SURE_WORDS = frozenset({"patient", "patients", "subject", "subj", "participant", "person", "donor", "mrn", "pid"})
AS_CLASSES = f"`?{SUBGROUPS}=` behind the source takes them for the classes"
ABOVE = f"`?{PATIENTS}=above` behind the source takes them for patients"


def refuse_as_classes(tree: FileTree, level: FolderLevel, levels: Sequence[str]) -> None:
    """Refuse the folders of a level as classes if they hold the same folders, or are named as patients.

    Raises:
        DataError: so it is.
    """
    below = _same_below(level)
    outer, inner = looks_like(level.names), looks_like(below)
    person = outer in PERSON_WORDS.values() and (below or _are_persons(level.names))
    if not person and not (below and _stand_above(level, below, outer, inner)):
        return
    where = f"{tree.root}: {f'below {printable(level.parents[0])} ' if levels else ''}"
    start = f"{where}{_quote(level.names)}"
    if person:
        raise DataError(f"{start} look like {outer}, not classes{_way_out_of_persons(level, inner)}; {AS_CLASSES}")
    may_be_patients = len(level.names) >= LEAST_PATIENTS and inner != SPLITS and outer not in SUBGROUP_NAMES
    named = outer is not None and (may_be_patients or outer != NUMBERS)
    look = f"look like {outer}, not classes: they " if named else ""
    start = f"{start} {look}hold the same folders, {_list_names(below)}"
    originals = [name for name in level.names if not is_copy(name) and not is_side_name(name)]
    single = f"'{printable(str(tree.root / level.parents[0] / (originals or level.names)[0]))}'"
    if outer in (COPIES, FILES):
        why = ", since a copy may stand in another split than its original" if outer == COPIES else ""
        raise DataError(f"{start}; name one of them, as {single}{why}; or {AS_CLASSES}")
    subgroup = SUBGROUP_NAMES.get(outer or "", "site")
    ways = [f"`?{SUBGROUPS}={subgroup}` behind the source takes them for subgroups"]
    if may_be_patients:
        ways.insert(0 if outer == NUMBERS else 1, f"`?{PATIENTS}=above` for patients")
    ways.append(f"`?{SUBGROUPS}=` for the classes")
    if outer not in SUBGROUP_NAMES:
        ways.append("folds are named Fold1, Fold2" if inner == SPLITS else "splits are named train, val and test")
    raise DataError(f"{start}: {', '.join(ways)}; {single} is one alone")


def refuse_beside_classes(tree: FileTree, level: FolderLevel) -> None:
    """Refuse a folder beside those of two classes that is a split or copies by its name, or holds these again.

    Raises:
        DataError: so it is.
    """
    beside = {comparable(name) for name in level.names}
    for name in level.names:
        again = level.holds[name] & (beside - {comparable(name)})
        if len(again) > 1 and not is_side_name(name):
            held = _list_names(sorted(level.spelled[key] for key in again))
            _refuse_beside(tree, name, f"like no class: it holds folders of the classes beside it, {held}")
    splits = [name for name in level.names if is_plain_split(name)]
    originals = {name_of_originals(name): name for name in level.names if not is_copy(name)}
    for name in splits if len(level.names) - len(splits) > 1 else []:
        _refuse_beside(tree, name, "like a split, but lies beside folders of classes")
    for name in filter(is_copy, level.names):
        words = name_of_originals(name)
        if words in originals:
            _refuse_beside(tree, name, f"like {COPIES} as '{printable(originals[words])}' holds")
        if not words and len(originals) > 1:
            _refuse_beside(tree, name, f"like {COPIES} as the folders of classes beside it hold")


def _refuse_beside(tree: FileTree, name: str, look: str) -> None:
    way_out = f"{hint_to_exclude(name)}; or `?{SUBGROUPS}=` takes it for a class"
    raise DataError(f"{tree.root}: '{printable(name)}' looks {look}{way_out}")


def _quote(names: Sequence[str]) -> str:
    return first_names([f"'{printable(name)}'" for name in names], MOST_NAMED)


def _list_names(names: Sequence[str]) -> str:
    return first_names([printable(name) for name in names], MOST_NAMED)


def _way_out_of_persons(level: FolderLevel, inner: str | None) -> str:
    held = sorted(level.spelled.values())
    if not held or inner not in (None, NUMBERS, SPLITS) or unit_named(held):
        return ", and no folders of classes lie above or below: a table (csv:) names the class of each image"
    return f": they hold the folders {_list_names(held)}, which may be the classes; {ABOVE}"


def _are_persons(names: Sequence[str]) -> bool:
    """Return whether folders named as persons are some: two by a word that classes never have, or many."""
    sure = all(word in SURE_WORDS for name in names for word in words_of(name) if word in PERSON_WORDS)
    return len(names) >= (2 if sure else MANY_PERSONS)


def _same_below(level: FolderLevel) -> list[str]:
    """Return the folders that those of the level have in common, or split folders, if train is in two of them."""
    below = level.same_below()
    trains = {name for name, spelled in level.spelled.items() if folder_split(spelled) == TRAIN}
    if not below and trains & shared_names(level.holds.values()) and _classes_below_splits(level):
        return sorted(level.spelled.values())
    return below


def _classes_below_splits(level: FolderLevel) -> bool:
    """Return whether the folders just below are splits, and hold several folders that are not patients."""
    splits = [name for name, spelled in level.spelled.items() if folder_split(spelled)]
    inside = set().union(*(level.inner.get(name, frozenset()) for name in splits))
    return len(inside) > 1 and unit_named(inside) is None and looks_like(inside) != NUMBERS


def _stand_above(level: FolderLevel, below: Sequence[str], outer: str | None, inner: str | None) -> bool:
    """Return whether folders that hold the same ones, `below`, stand above classes by what both look like."""
    if inner == SPLITS:
        return _classes_below_splits(level)
    if unit_named(below) or inner in (FILES, FOLDS):
        return False
    if outer in (MAGNIFICATIONS, COPIES, SITES) or inner is None:
        return True
    if inner != NUMBERS:
        return False
    same = all(len(held) == len(below) for held in level.holds.values())
    return (are_small_numbers(below) and same) or (outer == NUMBERS and len(level.names) > len(below))
