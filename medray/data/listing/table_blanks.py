"""Cells that are written to mean nothing, as pandas and R write them: NA, nan and their like are blank."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from medray.data.listing.table_columns import Columns
from medray.data.listing.table_text import Row, Table
from medray.data.source import BLANKS
from medray.errors import printable

DEFAULT_WORDS = frozenset({"na", "n/a", "nan", "null", "none"})


def blank_words(option: str | None) -> frozenset[str]:
    """Return the case-folded words of blank cells: those of the comma-separated option, or the default ones."""
    if option is None:
        return DEFAULT_WORDS
    return frozenset(word.strip().casefold() for word in option.split(",") if word.strip())


def with_blanks(
    table: Table, columns: Columns, words: Collection[str]
) -> tuple[Table, list[str], tuple[str, ...]]:
    """The table with blank cells for those that hold just one of the words, in upper or lower case.

    Only the columns of label, split, fold and patient are read so: to a subgroup, none is a word like others. Also
    return a note for each column in which there are such cells, and the words of the label's column.
    """
    read = [name for name in (columns.label, columns.split, columns.fold, columns.patient) if name]
    found: dict[str, Counter[str]] = {name: Counter() for name in read}
    rows = tuple(_blanked(row, found, words) for row in table.rows)
    notes = [_note(name, cells) for name, cells in found.items() if cells]
    return replace(table, rows=rows), notes, tuple(found[columns.label]) if columns.label else ()


def _blanked(row: Row, found: Mapping[str, Counter[str]], words: Collection[str]) -> Row:
    blank = [name for name in found if row.cells[name].casefold() in words]
    for name in blank:
        found[name][row.cells[name]] += 1
    return replace(row, cells={**row.cells, **dict.fromkeys(blank, "")}) if blank else row


def _note(name: str, cells: Counter[str]) -> str:
    told = ", ".join(f"'{printable(cell)}' (rows: {count})" for cell, count in cells.items())
    return f"column '{name}': read as blank: {told}"


def hint_to_keep(words: Collection[str]) -> str:
    """How the words of a label's column are read as classes; nothing where there are none."""
    told = "', '".join(printable(word) for word in words)
    return f"; '{told}' is read as blank, `?{BLANKS}=` behind the source reads it as a class" if words else ""
