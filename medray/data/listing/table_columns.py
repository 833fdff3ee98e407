"""Which column of a table says what: as named, or guessed by its name, and then noted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from medray.data.listing.folder_names import tidy
from medray.data.listing.table_text import Table
from medray.data.source import FOLD, GUESSED_COLUMNS, IMAGE, LABEL, NONE, PATIENT, SPLIT, SUBGROUPS
from medray.errors import DataError, nearest, printable

# Names in lower case; those after a bar are taken only where there is none before it.
_NAMES = {
    IMAGE: "image images img file filename file_name filepath file_path path image_path img_path image_name "
    "img_name image_file image_filename image_index | image_id imageid img_id id",
    LABEL: "label labels class classes category categories diagnosis target dx class_name label_name "
    "finding_labels",
    SPLIT: "split set subset partition",
    FOLD: "fold folds kfold",
    PATIENT: "patient patient_id patientid subject subject_id subjectid case case_id caseid participant "
    "participant_id",
}
_INDEX = re.compile(r"column \d+|unnamed:.*|index", re.IGNORECASE)  # row numbers, as pandas writes them
_NUMBERS = {"0": False, "0.0": False, "1": True, "1.0": True}


@dataclass(frozen=True)
class Columns:
    """The column of each kind, None where there is none; `one_hot`: those of classes, if none is the label's.

    `none` is the label of rows with a 1 in none of those, if they have one.
    """

    image: str
    label: str | None
    split: str | None
    fold: str | None
    patient: str | None
    subgroups: tuple[str, ...]
    one_hot: tuple[str, ...]
    none: str | None
    notes: tuple[str, ...]


def choose_columns(table: Table, named: Mapping[str, str]) -> Columns:
    """Find the columns, by `named` (kind to column) or by their own names; a blank name means no such column.

    Raises:
        DataError: a kind or a column does not exist, two columns may be meant, or those of the image or the label
            are not to be found.
    """
    chosen = {kind: _named(table, named[kind]) for kind in GUESSED_COLUMNS if named.get(kind)}
    subgroups = tuple(_named(table, name.strip()) for name in named.get(SUBGROUPS, "").split(",") if name.strip())
    notes = []
    for kind in GUESSED_COLUMNS:
        guess = None if kind in named else _guess(table, kind, {*chosen.values(), *subgroups})
        if guess:
            chosen[kind] = guess
            notes.append(f"{kind}: column '{guess}', by its name")
    if IMAGE not in chosen:
        raise _lacking(table, IMAGE)
    none = printable(tidy(named[NONE])) if NONE in named else None
    one_hot = () if LABEL in chosen else _one_hot(table, {*chosen.values(), *subgroups}, least=1 if none else 2)
    if LABEL not in chosen and not one_hot:
        raise _lacking(table, LABEL)
    if one_hot:
        notes.append(f"label: the column with a 1, of {', '.join(one_hot)}")
    if none is not None:
        notes.append(_note_of_none(table, none, chosen.get(LABEL), one_hot))
    label, split, fold, patient = (chosen.get(kind) for kind in (LABEL, SPLIT, FOLD, PATIENT))
    return Columns(chosen[IMAGE], label, split, fold, patient, subgroups, one_hot, none, tuple(notes))


def is_one(cell: str) -> bool:
    """Whether a cell of a class's column says that the image is of it."""
    return _NUMBERS[cell]


def _named(table: Table, name: str) -> str:
    if name in table.columns:
        return name
    alike = [column for column in table.columns if column.casefold() == name.strip().casefold()]
    if len(alike) != 1:
        hint = nearest(name, table.columns)
        raise DataError(f"{table.path}: no column '{name}'{hint}; its columns: {', '.join(table.columns)}")
    return alike[0]


def _guess(table: Table, kind: str, used: set[str]) -> str | None:
    for names in _NAMES[kind].split(" | "):
        fit = [c for c in table.columns if c not in used and _plain(c) in names.split()]
        if len(fit) > 1:
            listed = "' and '".join(fit)
            raise DataError(f"{table.path}: columns '{listed}' may all be the {kind}; name one as '{kind}'")
        if fit:
            return fit[0]
    return None


def _plain(column: str) -> str:
    return re.sub(r"[\s.-]+", "_", column).lower()


def _note_of_none(table: Table, none: str, label: str | None, one_hot: tuple[str, ...]) -> str:
    """How many rows are of no class's column; their label must not be one of these."""
    if label:
        raise DataError(f"{table.path}: option '{NONE}' is for tables with a column for each class, not '{label}'")
    if not none:
        raise DataError(f"{table.path}: option '{NONE}' needs the label of rows without a class")
    if none.casefold() in (tidy(name).casefold() for name in one_hot):
        raise DataError(
            f"{table.path}: option '{NONE}': '{none}' has a column of its own; name another label than these: "
            f"{', '.join(one_hot)}"
        )
    rows = sum(not any(is_one(row.cells[name]) for name in one_hot) for row in table.rows)
    return f"label of rows with a 1 in none of these: {none} (rows: {rows})"


def _one_hot(table: Table, used: set[str], least: int) -> tuple[str, ...]:
    """The columns that are left, if there are enough and all of them hold 0 and 1 only."""
    left = tuple(c for c in table.columns if c not in used and not _INDEX.fullmatch(c))
    whole = all(row.cells[column] in _NUMBERS for row in table.rows for column in left)
    return left if whole and len(left) >= least else ()


def _lacking(table: Table, kind: str) -> DataError:
    columns = ", ".join(table.columns)
    return DataError(f"{table.path}: no column for the {kind}; name it as '{kind}'; its columns: {columns}")
