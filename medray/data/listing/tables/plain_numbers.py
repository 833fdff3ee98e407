"""Unite numbers that a column writes in several ways, as two exports laid under one another do: 1 and 1.0."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from medray.data.listing.tables.columns import Columns
from medray.data.listing.tables.table_text import Table
from medray.data.listing.tables.words import plain_number
from medray.errors import printable
from medray.text import first_names

_WHOLE_WITH_COMMA = re.compile(r"[+-]?[0-9]+(,0+)?", re.ASCII)
_MOST_NAMED = 4


def with_plain_numbers(table: Table, columns: Columns) -> tuple[Table, list[str]]:
    """Return the table with each number written in one way, in the columns where some are written in several.

    The columns are those of the label, the patient and the subgroups. In a column that holds other words too
    nothing is changed. Also return a note on each column in which a number is written in several ways, or a
    patient in upper and lower case.
    """
    notes = []
    for name in dict.fromkeys(n for n in (columns.label, columns.patient, *columns.subgroups) if n):
        cells = dict.fromkeys(row.cells[name] for row in table.rows if row.cells[name])
        # In a label's cell a comma divides labels, unless each is followed by zeros only.
        commas = name != columns.label or ("0,0" in cells and all(map(_WHOLE_WITH_COMMA.fullmatch, cells)))
        numbers = {cell: plain_number(cell) if commas or "," not in cell else None for cell in cells}
        pairs = _in_pairs((cell, number) for cell, number in numbers.items() if number is not None)
        decimals = name == columns.label and commas
        if None not in numbers.values() and (pairs or decimals):
            rows = (
                replace(row, cells={**row.cells, name: numbers.get(row.cells[name]) or ""}) for row in table.rows
            )
            table = replace(table, rows=tuple(rows))
            ways = f"one number written in several ways is one: {first_names(pairs, _MOST_NAMED)}"
            notes.append(f"column '{name}': {ways if pairs else 'numbers with a decimal comma, 0,0 is 0'}")
        elif pairs:
            notes.append(
                f"column '{name}' writes one number in several ways, and holds other words too, so they are kept "
                f"apart: {first_names(pairs, _MOST_NAMED)}"
            )
        alike = _in_pairs((cell, cell.casefold()) for cell in cells) if name == columns.patient else []
        if alike:
            notes.append(f"column '{name}': names that differ only in case are kept apart: {first_names(alike)}")
    return table, notes


def _in_pairs(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return a phrase for all cells of one key, for each key that has several."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for cell, key in pairs:
        spellings[key].append(f"'{printable(cell)}'")
    return [" and ".join(cells) for cells in spellings.values() if len(cells) > 1]
