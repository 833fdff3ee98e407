"""Read a table of text: its columns and its rows, with the line on which each begins."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medray.errors import DataError, not_found_line, printable
from medray.files import path_exists

DELIMITERS = ",;\t"
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


@dataclass(frozen=True)
class Row:
    """The line that a row begins on, and its cells by column, without spaces around them."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """Columns by their names, and rows in the order of the file."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """Read a table in UTF-8, with or without a byte order mark, separated by commas, semicolons or tabs.

    Blank lines are skipped. A column without a name is called by its number.

    Raises:
        DataError: there is no such file, it is a spreadsheet, not UTF-8, empty, or a row does not fit the columns.
    """
    text = _read_text(path)
    first = next(iter(text.lstrip().splitlines()), "")
    lines = list(_split_lines(path, text, max(DELIMITERS, key=lambda delimiter: count_cells(first, delimiter))))
    if not lines:
        raise DataError(f"{path} is empty")
    columns = tuple(printable(name) or f"column {number}" for number, name in enumerate(lines[0][1], 1))
    name, count = Counter(columns).most_common(1)[0]
    if count > 1:
        raise DataError(f"{path}: {count} columns are called '{name}'; each needs a name of its own")
    rows = []
    for line, cells in lines[1:]:
        while len(cells) > len(columns) and not cells[-1]:
            cells.pop()
        if len(cells) != len(columns):
            raise DataError(f"{path}: line {line} has {len(cells)} cells for {len(columns)} columns")
        rows.append(Row(line, dict(zip(columns, cells, strict=True))))
    if not rows:
        raise DataError(f"{path} has no rows, only the columns: {', '.join(columns)}")
    return Table(path, columns, tuple(rows))


def _read_text(path: Path) -> str:
    if not path_exists(path):
        raise DataError(not_found_line("file", path))
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table; valid: a .csv or .tsv file")
    if path.suffix.lower() in SPREADSHEETS:
        raise DataError(f"{path}: a spreadsheet is not read; save it as CSV in UTF-8")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line} is not UTF-8 (Latin-1, perhaps); save the table in UTF-8") from None
    if "\0" in text:
        raise DataError(f"{path}: holds NUL characters, so it is no table of text in UTF-8")
    return text


def count_cells(line: str, delimiter: str) -> int:
    """Return how many cells a delimiter makes of a line, 0 if it can't be read so."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _split_lines(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of each row that is not blank; a quoted cell may span lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}: line {line} can't be read as a row: {error}") from None
