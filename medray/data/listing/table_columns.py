"""Choose which column of a table says what, as named or guessed by its name, and read a row's cells by them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from medray.data.listing.file_tree import image_suffix
from medray.data.listing.folder_names import tidy
from medray.data.listing.table_splits import VALID, looks_like, table_split
from medray.data.listing.table_text import Row, Table
from medray.data.source import FOLD, GUESSED_COLUMNS, IMAGE, LABEL, NONE, PATIENT, SPLIT, SUBGROUPS
from medray.errors import DataError, nearest, printable

NUMBER = re.compile(r"[0-9]{1,18}")
# Names in lower case; those after a bar are taken only if there is none of those before it.
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
_ONE_HOT = {"0": False, "0.0": False, "1": True, "1.0": True}


@dataclass(frozen=True)
class Columns:
    """The column of each kind, None if there is none; `one_hot` are those of the classes if `label` is None.

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

    def read_labels(self, row: Row) -> tuple[str, ...]:
        """Return the labels of a row, separated by comma, semicolon or bar, or by a column for each class."""
        if not self.label:
            ones = tuple(tidy(name) for name in self.one_hot if _ONE_HOT[row.cells[name]])
            return ones or ((self.none,) if self.none else ())
        labels = re.split("[;|,]", row.cells[self.label])
        return tuple(printable(tidy(label)) for label in labels if label.strip())

    def read_split(self, row: Row) -> str | None:
        """Return train, val, test or calibration, None if the row names no split.

        Raises:
            DataError: the cell is another word.
        """
        cell = row.cells[self.split] if self.split else ""
        if cell and not table_split(cell):
            hint = nearest(printable(cell), VALID.split(", "))
            problem = f"unknown split '{printable(cell)}'{hint}; valid: {VALID}"
            raise DataError(f"line {row.line}: column '{self.split}': {problem}")
        return table_split(cell)

    def check_splits(self, table: Table) -> None:
        """Check that the split's column names splits.

        Raises:
            DataError: it does not; the line says what its first such row looks like.
        """
        for row in table.rows:
            try:
                self.read_split(row)
            except DataError as error:
                cells = {row.cells[self.split] for row in table.rows} if self.split else set()
                raise DataError(f"{error}{looks_like(cells, self.split or '')}") from None

    def read_fold(self, row: Row) -> int | None:
        """Return the number of the fold that holds a row out, None if the row names none.

        Raises:
            DataError: the cell is no whole number.
        """
        cell = row.cells[self.fold].removesuffix(".0").removesuffix(",0") if self.fold else ""
        if cell and not NUMBER.fullmatch(cell):
            problem = f"'{printable(cell)}' is no fold; valid: whole numbers of 0 or more"
            raise DataError(f"line {row.line}: column '{self.fold}': {problem}")
        return int(cell) if cell else None


def choose_columns(table: Table, options: Mapping[str, str]) -> Columns:
    """Choose the columns by a source's options, kind to column, or by their own names.

    An empty option means that there is no such column.

    Raises:
        DataError: a column does not exist, several may be meant, or there is none for the image or the label.
    """
    by_kind = {kind: find_column(table, options[kind]) for kind in GUESSED_COLUMNS if options.get(kind)}
    named = (name.strip() for name in options.get(SUBGROUPS, "").split(","))
    subgroups = tuple(find_column(table, name) for name in named if name)
    notes = []
    for kind in GUESSED_COLUMNS:
        guess = None if kind in options else guess_column(table, kind, {*by_kind.values(), *subgroups})
        if guess:
            by_kind[kind] = guess
            notes.append(f"{kind}: column '{guess}', by its name")
    none = printable(tidy(options[NONE])) if NONE in options else None
    one_hot: tuple[str, ...] = ()
    if LABEL not in by_kind:
        used = {*by_kind.values(), *subgroups}
        one_hot = tuple(c for c in table.columns if c not in used and not _INDEX.fullmatch(c))
        binary = all(row.cells[column] in _ONE_HOT for row in table.rows for column in one_hot)
        one_hot = one_hot if binary and len(one_hot) >= (1 if none else 2) else ()
    for kind, missing in ((IMAGE, IMAGE not in by_kind), (LABEL, LABEL not in by_kind and not one_hot)):
        if missing:
            columns = ", ".join(table.columns)
            problem = f"no column for the {kind}; name it as '{kind}'; its columns: {columns}{no_head(table)}"
            raise DataError(problem, file=table.path)
    if one_hot:
        notes.append(f"label: the column with a 1, of {', '.join(one_hot)}")
    if none is not None:
        notes.append(note_on_none(table, none, by_kind.get(LABEL), one_hot))
    label, split, fold, patient = (by_kind.get(kind) for kind in (LABEL, SPLIT, FOLD, PATIENT))
    return Columns(by_kind[IMAGE], label, split, fold, patient, subgroups, one_hot, none, tuple(notes))


def find_column(table: Table, name: str) -> str:
    """Return the column of a name, or else the only one that differs from it just in case.

    Raises:
        DataError: there is none, or several.
    """
    if name in table.columns:
        return name
    alike = [column for column in table.columns if column.casefold() == name.strip().casefold()]
    if len(alike) != 1:
        columns = ", ".join(table.columns)
        raise DataError(
            f"no column '{name}'{nearest(name, table.columns)}; its columns: {columns}", file=table.path
        )
    return alike[0]


def guess_column(table: Table, kind: str, used: set[str]) -> str | None:
    """Return the column that is named as those of a kind usually are and is not `used`; None if there is none.

    Raises:
        DataError: there are several.
    """
    names = {column: re.sub(r"[\s.-]+", "_", column).lower() for column in table.columns if column not in used}
    for usual in _NAMES[kind].split(" | "):
        matches = [column for column, name in names.items() if name in usual.split()]
        if len(matches) > 1:
            listed = "' and '".join(matches)
            problem = f"columns '{listed}' may all be the {kind}; name one as '{kind}'"
            raise DataError(problem, file=table.path)
        if matches:
            return matches[0]
    return None


def no_head(table: Table) -> str:
    """Return the end of a refusal's line if the table's first line looks like a row, or was not divided."""
    if len(table.columns) == 1:
        return "; is it divided by another separator than comma, semicolon, tab or bar?"
    if any(image_suffix(name) or NUMBER.fullmatch(name) for name in table.columns):
        return "; if its first line is a row already, write the names of the columns above it, as image,label"
    return ""


def note_on_none(table: Table, none: str, label: str | None, one_hot: tuple[str, ...]) -> str:
    """Return how many rows have the label `none`, as no class's column holds a 1.

    Raises:
        DataError: there is a `label` column, or `none` is empty or the name of a class.
    """
    problem = None
    if label:
        problem = f"option '{NONE}' is for tables with a column for each class, not '{label}'"
    elif not none:
        problem = f"option '{NONE}' needs the label of rows without a class"
    elif none.casefold() in (tidy(name).casefold() for name in one_hot):
        classes = ", ".join(one_hot)
        problem = f"option '{NONE}': '{none}' has a column of its own; name another label than these: {classes}"
    if problem:
        raise DataError(problem, file=table.path)
    rows = sum(not any(_ONE_HOT[row.cells[name]] for name in one_hot) for row in table.rows)
    return f"label of rows with a 1 in none of these: {none} (rows: {rows})"
