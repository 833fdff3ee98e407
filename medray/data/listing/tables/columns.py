"""Choose which column of a table says what, as named or guessed, and read a row's split and fold by them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medray.data.listing.file_tree import image_suffix
from medray.data.listing.folder_names import tidy
from medray.data.listing.tables.class_columns import ReadColumn, check_answers, guess_class_columns
from medray.data.listing.tables.column_names import find_column, find_columns, guess_column
from medray.data.listing.tables.table_splits import VALID, looks_like, table_split
from medray.data.listing.tables.table_text import Row, Table
from medray.data.listing.tables.words import blank_words
from medray.data.source import BLANKS, FOLD, GUESSED_COLUMNS, IMAGE, LABEL, NONE, PATIENT, SPLIT, SUBGROUPS
from medray.errors import DataError, nearest, printable
from medray.text import first_names

NUMBER = re.compile(r"[0-9]{1,18}")


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

    An empty option means that there is no such column. `label` may name several columns, one for each class.

    Raises:
        DataError: a column does not exist, several may be meant, or there is none for the image or the label.
    """
    kinds = [kind for kind in GUESSED_COLUMNS if kind != LABEL and options.get(kind)]
    by_kind = {kind: find_column(table, options[kind]) for kind in kinds}
    none = printable(tidy(options[NONE])) if NONE in options else None
    blanks = blank_words(options.get(BLANKS))
    one_hot = find_columns(table, options.get(LABEL, ""))
    if len(one_hot) == 1 and (none is None or not ReadColumn.read(table, one_hot[0], blanks).answers):
        by_kind[LABEL], one_hot = one_hot[0], ()
    named = (name.strip() for name in options.get(SUBGROUPS, "").split(","))
    subgroups = tuple(find_column(table, name) for name in named if name)
    notes = []
    for kind in GUESSED_COLUMNS:
        guess = None
        if kind not in options:
            guess = guess_column(table, kind, {*by_kind.values(), *subgroups, *one_hot})
        if guess:
            by_kind[kind] = guess
            notes.append(f"{kind}: column '{guess}', by its name")
    if IMAGE not in by_kind:
        raise no_column(table, IMAGE, image_candidates(table))
    if one_hot:
        check_answers(table, one_hot, blanks)
    elif LABEL not in by_kind:
        unused = [column for column in table.columns if column not in {*by_kind.values(), *subgroups}]
        guessed = guess_class_columns(table, unused, blanks, with_none=bool(none))
        if not guessed.names:
            raise no_column(table, LABEL, guessed.others)
        one_hot = guessed.names
        notes += guessed.notes
    if one_hot:
        notes.append(f"label: the column with a 1, of {', '.join(one_hot)}")
    if none is not None:
        check_none(table, none, by_kind.get(LABEL), one_hot)
    label, split, fold, patient = (by_kind.get(kind) for kind in (LABEL, SPLIT, FOLD, PATIENT))
    return Columns(by_kind[IMAGE], label, split, fold, patient, subgroups, one_hot, none, tuple(notes))


def no_column(table: Table, kind: str, candidates: Sequence[str] = ()) -> DataError:
    """Return the error that there is no column of a kind; `candidates` may be it."""
    may_be = f"; it may be {first_names(candidates)}" if candidates else ""
    columns = ", ".join(table.columns)
    problem = (
        f"no column for the {kind}; `?{kind}=COLUMN` behind the source names it{may_be}; its columns: {columns}"
    )
    return DataError(f"{problem}{no_head(table)}", file=table.path)


def image_candidates(table: Table) -> list[str]:
    """Return the columns that may name images: all cells end as images do, or else no two cells are the same."""
    read = [ReadColumn.read(table, name, frozenset()) for name in table.columns]
    files = [column for column in read if column.values and all(map(image_suffix, column.values))]
    if not files:
        files = [c for c in read if len(c.values) == len(c.cells) > 1 and not any(" " in cell for cell in c.cells)]
    return [column.describe() for column in files]


def no_head(table: Table) -> str:
    """Return the end of a refusal's line if the table's first line looks like a row, or was not divided."""
    if any(image_suffix(name) or NUMBER.fullmatch(name) for name in table.columns):
        return "; if its first line is a row already, write the names of the columns above it, as image,label"
    if len(table.columns) == 1:
        return "; is it divided by another separator than comma, semicolon, tab or bar?"
    return ""


def check_none(table: Table, none: str, label: str | None, one_hot: tuple[str, ...]) -> None:
    """Check that rows in which no class's column holds a 1 may have the label `none`.

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
