"""Read cells that are written to mean nothing as blank, as pandas and R do: NA, nan and their like."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from medray.data.listing.tables.columns import Columns
from medray.data.listing.tables.table_text import Table
from medray.data.listing.tables.words import DEFAULT_BLANKS, is_blank
from medray.data.source import BLANKS
from medray.errors import printable


def with_blanks(table: Table, columns: Columns, words: frozenset[str]) -> tuple[Table, list[str], tuple[str, ...]]:
    """Return the table with blank cells in place of those that hold just one of the `words`, in any case.

    Only the columns of label, split, fold and patient are read so: in a subgroup, none is a word like others. Also
    return a note on each column with such cells, and the words of the label's column.
    """
    names = [name for name in (columns.label, columns.split, columns.fold, columns.patient) if name]
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    rows = []
    for row in table.rows:
        blank = [name for name in names if row.cells[name] and is_blank(row.cells[name], words)]
        for name in blank:
            counts[name][row.cells[name]] += 1
        rows.append(replace(row, cells={**row.cells, **dict.fromkeys(blank, "")}) if blank else row)
    notes = []
    for name in (name for name in names if counts[name]):
        cells = ", ".join(f"'{printable(cell)}' (rows: {count})" for cell, count in counts[name].items())
        way = f"; `?{BLANKS}=` behind the source reads such a cell as a class" if name == columns.label else ""
        notes.append(f"column '{name}': read as blank: {cells}{way if words == DEFAULT_BLANKS else ''}")
    return replace(table, rows=tuple(rows)), notes, tuple(counts[columns.label]) if columns.label else ()


def hint_to_keep(words: Collection[str]) -> str:
    """Return the end of an error's line: how to read the words of a label's column as classes; empty if none."""
    quoted = "', '".join(printable(word) for word in words)
    return f"; '{quoted}' is read as blank, `?{BLANKS}=` behind the source reads it as a class" if words else ""
