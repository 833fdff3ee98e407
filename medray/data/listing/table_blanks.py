"""Cells that are written to mean nothing, as pandas and R write them: NA, nan and their like are blank."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from medray.data.listing.table_columns import Columns
from medray.data.listing.table_text import Row, Table
from medray.errors import shown

BLANKS = "blank"  # the option that names other words
USUAL = ("na", "n/a", "nan", "null", "none")


def blank_words(options: Mapping[str, str]) -> tuple[dict[str, str], frozenset[str]]:
    """Part the options of a table: those that name columns, and the words of blank cells, in small letters.

    The words stand with commas between them; where the option is given without a word there are none.
    """
    columns = {name: value for name, value in options.items() if name != BLANKS}
    if BLANKS not in options:
        return columns, frozenset(USUAL)
    words = (word.strip().casefold() for word in options[BLANKS].split(","))
    return columns, frozenset(word for word in words if word)


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
    told = ", ".join(f"'{shown(cell)}' (rows: {count})" for cell, count in cells.items())
    return f"column '{name}': read as blank: {told}"


def to_keep(words: Collection[str]) -> str:
    """How the words of a label's column are read as classes; nothing where there are none."""
    told = "', '".join(shown(word) for word in words)
    return f"; '{told}' is read as blank, `?{BLANKS}=` behind the source reads it as a class" if words else ""
