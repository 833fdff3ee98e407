"""Read the labels of a table's rows: from one column, whose cells may hold several, or a column for each class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medray.data.listing.folder_names import tidy
from medray.data.listing.tables.blanks import with_blanks
from medray.data.listing.tables.columns import Columns
from medray.data.listing.tables.label_lists import read_lists
from medray.data.listing.tables.plain_numbers import with_plain_numbers
from medray.data.listing.tables.separators import divide, guess_separators, named_separators, note_separators
from medray.data.listing.tables.table_text import Table
from medray.data.listing.tables.uncertain import IGNORE, note_uncertain, resolve_uncertain, uncertain_option
from medray.data.listing.tables.words import NEGATIVE, POSITIVE, UNCERTAIN, UNSAID, blank_words, read_answer
from medray.data.source import BLANKS, SEPARATOR
from medray.errors import DataError, printable


@dataclass(frozen=True)
class RowLabels:
    """The labels of a row, and those that it may have besides: such an image has no certain label.

    `unlabelled` says that it is blank in all columns of classes, where others say no.
    """

    labels: tuple[str, ...]
    uncertain: tuple[str, ...] = ()
    unlabelled: bool = False


def read_labels(
    table: Table, columns: Columns, options: Mapping[str, str], blanks_read: tuple[str, ...] = ()
) -> tuple[dict[int, RowLabels], list[str]]:
    """Return the labels of each row by its line, and notes on what was guessed.

    `blanks_read` are the words of the label's column that were read as blank.

    Raises:
        DataError: cells may be read in several ways, and the options do not say in which.
    """
    if columns.label is None:
        return read_class_columns(table, columns, options)
    cells = {row.line: row.cells[columns.label] for row in table.rows}
    cells, ignored, notes = resolve_uncertain(columns.label, cells, options, blanks_read)
    counts = Counter(cell for line, cell in cells.items() if cell and line not in ignored)
    try:
        parts, separator_notes = divide_cells(cells, counts, named_separators(options.get(SEPARATOR)))
    except DataError as error:
        raise DataError(f"column '{columns.label}': {error}") from None
    labels = {
        line: RowLabels((), (cell,)) if line in ignored else RowLabels(parts.get(cell, ()))
        for line, cell in cells.items()
    }
    return labels, [*notes, *(f"column '{columns.label}': {note}" for note in separator_notes)]


def separator_used(table: Table, columns: Columns, options: Mapping[str, str]) -> str | None:
    """Return the one separator that is guessed for a table's label column; None without, or if one was named."""
    if columns.label is None or SEPARATOR in options:
        return None
    table, _, _ = with_blanks(table, columns, blank_words(options.get(BLANKS)))
    table, _ = with_plain_numbers(table, columns)
    lines = {row.cells[columns.label]: row.line for row in table.rows if row.cells[columns.label]}
    try:
        lists = read_lists(list(lines))
        separators = guess_separators({cell: line for cell, line in lines.items() if cell not in lists})
    except DataError:
        return None  # as listing the table will say
    return separators[0] if len(separators) == 1 else None


def divide_cells(
    cells: Mapping[int, str], counts: Counter[str], separators: Sequence[str] | None
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the labels of each distinct cell that is not empty, and notes.

    Raises:
        DataError: a cell may be read in several ways.
    """
    lines: dict[str, int] = {}
    for line, cell in cells.items():
        if cell in counts:
            lines.setdefault(cell, line)
    lists = {} if separators == () else read_lists(list(lines))
    lines = {cell: line for cell, line in lines.items() if cell not in lists}
    guessed = guess_separators(lines) if separators is None else separators
    plain = Counter({cell: counts[cell] for cell in lines})
    parts = lists | {cell: divide(cell, guessed) for cell in lines}
    notes = note_separators(plain, guessed, named=separators is not None)
    if lists:
        rows = sum(counts[cell] for cell in lists)
        notes.insert(0, f"cells read as lists of labels: rows: {rows}, such as '{printable(next(iter(lists)))}'")
    return {cell: tuple(printable(tidy(part)) for part in named) for cell, named in parts.items()}, notes


def read_class_columns(
    table: Table, columns: Columns, options: Mapping[str, str]
) -> tuple[dict[int, RowLabels], list[str]]:
    """Return the labels of rows with a column for each class, by line, and notes.

    Blank is no. Where no is written too, a row that is blank in all these columns has no label, not even `none`.

    Raises:
        DataError: there are uncertain labels, and the options do not say what they become; a separator is named.
    """
    if SEPARATOR in options:
        raise DataError(f"option '{SEPARATOR}' is for a column of labels, not for a column for each class")
    choice = uncertain_option(options)
    blanks = blank_words(options.get(BLANKS))
    answers = {
        row.line: {name: read_answer(row.cells[name], blanks) or UNSAID for name in columns.one_hot}
        for row in table.rows
    }
    unsure: dict[str, list[int]] = {}
    for row in table.rows:
        for name in columns.one_hot:
            if answers[row.line][name] == UNCERTAIN:
                unsure.setdefault(row.cells[name], []).append(row.line)
    holding = [name for name in columns.one_hot if any(said[name] == UNCERTAIN for said in answers.values())]
    notes = note_uncertain(f"column{'s' if len(holding) > 1 else ''} {', '.join(holding)}", unsure, choice)
    counts = Counter(answer for said in answers.values() for answer in said.values())
    labels, unlabelled = {}, []
    yes = {POSITIVE, UNCERTAIN} if choice == POSITIVE else {POSITIVE}
    for line, said in answers.items():
        ones = tuple(tidy(name) for name in columns.one_hot if said[name] in yes)
        uncertain = tuple(tidy(name) for name in columns.one_hot if said[name] == UNCERTAIN and choice == IGNORE)
        blank = set(said.values()) == {UNSAID} and bool(counts[NEGATIVE])
        unlabelled += [line] if blank else []
        none = (columns.none,) if columns.none and not ones and not uncertain and not blank else ()
        labels[line] = RowLabels(ones or none, uncertain, blank)
    if counts[UNSAID]:
        notes.append(f"blank cells of these columns are read as no: {counts[UNSAID]}")
    if unlabelled:
        first = f"{len(unlabelled)}, the first line {unlabelled[0]}"
        notes.append(f"rows blank in all of these columns, without a label: {first}")
    if columns.none:
        rows = sum(named.labels == (columns.none,) for named in labels.values())
        notes.insert(0, f"label of rows with a 1 in none of these: {columns.none} (rows: {rows})")
    return labels, notes
