"""Refuse folders as classes that all hold the same folders, with what they look like and the way out."""

from collections.abc import Sequence

from medray.data.listing.file_tree import FileTree
from medray.data.listing.folder_levels import FolderLevel, shared_names
from medray.data.listing.folder_looks import (
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
    unit_named,
)
from medray.data.listing.folder_names import folder_split, words_of
from medray.data.listing.listing import TRAIN
from medray.data.source import PATIENTS, SUBGROUPS
from medray.errors import DataError, printable
from medray.text import first_names

LEAST_PATIENTS = 3  # folders whose names are numbers, above a few others
MANY_PERSONS = 8  # folders named by a word that is often, but not always, a person's
SURE_WORDS = frozenset({"patient", "patients", "subject", "subj", "participant", "person", "donor", "mrn", "pid"})


def refuse_as_classes(tree: FileTree, level: FolderLevel, levels: Sequence[str]) -> None:
    """Refuse the folders of a level as classes if they hold the same folders, or are named as patients.

    Raises:
        DataError: so it is.
    """
    below = level.same_below()
    trains = {name for name, spelled in level.spelled.items() if folder_split(spelled) == TRAIN}
    if not below and trains & shared_names(level.holds.values()):
        below = sorted(level.spelled.values()) if _classes_below_splits(level) else []
    outer = looks_like(level.names)
    person = outer in PERSON_WORDS.values()
    if not below and not (person and _are_persons(level.names)):
        return
    inner = looks_like(below) if below else None
    where = f"{tree.root}: {f'below {printable(level.parents[0])} ' if levels else ''}"
    quoted = first_names([f"'{printable(name)}'" for name in level.names], 4)
    names = first_names([printable(name) for name in below], 4)
    declined = f"`?{SUBGROUPS}=` behind the source takes them for the classes"
    if person:
        held = sorted({printable(spelled) for spelled in level.spelled.values()})
        if not held or (inner and inner not in (NUMBERS, SPLITS)) or unit_named(held):
            raise DataError(
                f"{where}{quoted} look like {outer}, not classes, and no folders of classes lie above or below: a "
                f"table (csv:) names the class of each image; or {declined}"
            )
        raise DataError(
            f"{where}{quoted} look like {outer}, not classes: they hold the folders {first_names(held, 4)}; "
            f"`?{PATIENTS}=above` behind the source takes them for patients and the folders below for the classes, "
            f"`?{SUBGROUPS}=` takes them for the classes"
        )
    if not _stand_above(level, below, outer, inner):
        return
    many = len(level.names) >= LEAST_PATIENTS and inner != SPLITS
    look = f"look like {outer}, not classes: they " if outer and (many or outer != NUMBERS) else ""
    start = f"{where}{quoted} {look}hold the same folders, {names}"
    originals = [name for name in level.names if not is_copy(name)]
    named = f"'{printable(str(tree.root / level.parents[0] / (originals or level.names)[0]))}'"
    if outer in (COPIES, FILES):
        why = ", since a copy may stand in another split than its original" if outer == COPIES else ""
        raise DataError(f"{start}; name one of them, as {named}{why}; or {declined}")
    ways = [f"`?{SUBGROUPS}={SUBGROUP_NAMES.get(outer or '', 'site')}` behind the source takes them for subgroups"]
    if outer not in SUBGROUP_NAMES and many:
        ways.append(f"`?{PATIENTS}=above` takes them for patients")
    ways.append(f"`?{SUBGROUPS}=` takes them for the classes")
    if outer not in SUBGROUP_NAMES:
        ways.append("splits are named train, val and test" if inner != SPLITS else "folds are named Fold1, Fold2")
    raise DataError(f"{start}: {', '.join(ways)}; {named} is one alone")


def _are_persons(names: Sequence[str]) -> bool:
    """Return whether folders named as persons are some, and not by a word that classes may have too, as P1 and P2."""
    sure = all(word in SURE_WORDS for name in names for word in words_of(name) if word in PERSON_WORDS)
    return len(names) >= (2 if sure else MANY_PERSONS)


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
