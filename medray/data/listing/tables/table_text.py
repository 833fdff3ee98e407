"""Read a table of text: its columns and its rows, with the line on which each begins."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medray.data.listing.tables.encodings import SPREADSHEETS, read_text
from medray.errors import DataError, printable

__all__ = ["SPREADSHEETS", "Row", "Table", "read_table"]

DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?[ \t,;]*(\r\n|\r|\n|$)', re.IGNORECASE)  # Excel's


@dataclass(frozen=True)
class Row:
    """The line that a row begins on, and its cells by column, without spaces around them."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """Columns by their names, and rows in the order of the file; `notes` say how its text was read."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Read a table in UTF-8 or UTF-16, separated by commas, semicolons, tabs or bars.

    A first line such as `sep=;`, which Excel writes, names the separator. Blank lines are skipped, and lines above
    the columns that begin with "#", unless a separator follows at once. A column without a name is called by its
    number; it is left out where all its cells are blank.

    Raises:
        DataError: there is no such file, it is no text, empty, or a row does not fit the columns.
    """
    text, encoding_notes = read_text(path)
    text, skipped, delimiter = _start_of_table(text)
    first = next(iter(text.lstrip().splitlines()), "")
    delimiter = delimiter or max(DELIMITERS, key=lambda character: count_cells(first, character))
    lines = list(_split_lines(path, text, delimiter, 1 + len(skipped)))
    if not lines:
        raise DataError(f"{path} is empty")
    head = lines[0][1]
    columns = tuple(printable(name) or f"column {number}" for number, name in enumerate(head, 1))
    name, count = Counter(columns).most_common(1)[0]
    if count > 1:
        raise DataError(f"{path}: {count} columns are called '{name}'; each needs a name of its own")
    rows = [(line, _fit_to_head(path, line, cells, head)) for line, cells in lines[1:]]
    if not rows:
        raise DataError(f"{path} has no rows, only the columns: {', '.join(columns)}")
    kept = [index for index, name in enumerate(head) if name or any(cells[index] for _, cells in rows)]
    comments = [line.strip() for line in skipped if line.lstrip().startswith("#")]
    notes = [*encoding_notes, *([f"lines above the columns that begin with '#', left out: {len(comments)}, the "
                                 f"first '{printable(comments[0])}'"] if comments else [])]  # fmt: skip
    return Table(
        path,
        tuple(columns[index] for index in kept),
        tuple(Row(line, {columns[index]: cells[index] for index in kept}) for line, cells in rows),
        tuple(notes),
    )


def _fit_to_head(path: Path, line: int, cells: list[str], head: list[str]) -> list[str]:
    """Return a row's cells, one for each column: blank ones beyond the columns are left out, of no name added.

    Raises:
        DataError: there are more or fewer cells than columns.
    """
    cells = list(cells)
    while len(cells) > len(head) and not cells[-1]:
        cells.pop()
    while len(cells) < len(head) and not head[len(cells)] and not any(head[len(cells) :]):
        cells.append("")
    if len(cells) != len(head):
        hint = ""
        if len(head) == 1:
            hint = f"; is '{printable(head[0])}' a title? the first line must name the columns"
        elif len(cells) == len(head) + 1:
            hint = "; a cell that holds the separator needs quotes, a column of row names a name"
        raise DataError(f"{path}: line {line} has {len(cells)} cells for {len(head)} columns{hint}")
    return cells


def _start_of_table(text: str) -> tuple[str, list[str], str | None]:
    """Return the text from the line of the columns on, the lines above it, and the separator that one names."""
    skipped: list[str] = []
    delimiter = None
    while text:
        separator = _SEPARATOR_LINE.match(text)
        comment = re.match(r"[ \t]*#(?![,;\t|])[^\r\n]*(\r\n|\r|\n|$)|[ \t]*(\r\n|\r|\n)", text)
        match = separator if separator and delimiter is None else comment
        if match is None:
            break
        if match is separator:
            delimiter = match[1]
        skipped += match[0].splitlines(keepends=True)
        text = text[match.end() :]
    return text, skipped, delimiter


def count_cells(line: str, delimiter: str) -> int:
    """Return how many cells a delimiter makes of a line, 0 if it can't be read so."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _split_lines(path: Path, text: str, delimiter: str, first: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of each row that is not blank; a quoted cell may span lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = first
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = first + reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}: line {line} can't be read as a row: {error}") from None
