"""Find the files that the cells of a table name: by path, by name, with or without suffix, or by pattern."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from medray.data.listing.file_tree import FileTree, file_size, image_suffix
from medray.data.listing.listing import BLANK
from medray.data.listing.tables.id_numbers import note_rounded, read_numbers, read_rounded
from medray.data.listing.tables.lost_zeros import LAST_NUMBER, find_renumbered, note_renumbered
from medray.data.listing.tables.moved_paths import (
    ambiguous_line,
    find_moved,
    hint_of_elsewhere,
    is_foreign,
    note_moved,
)
from medray.data.listing.tables.table_text import Table
from medray.data.source import PATTERN, escaped
from medray.errors import DataError, printable

_PATTERN = re.compile(r"([^{}]*)\{(:(?:0([1-9][0-9]?))?d)?\}([^{}]*)")


@dataclass
class ImageIndex:
    """The images below a table's folder, by their names and by these without suffix, in lower case."""

    tree: FileTree
    by_name: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_stem: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for image in self.tree.images:
            name = _normalised(image).rpartition("/")[2]
            self.by_name[name].append(image)
            self.by_stem[name.removesuffix(image_suffix(name))].append(image)

    def find(self, cell: str) -> Path | None:
        """Return the file that a cell names, None if there is none.

        Raises:
            DataError: it may be several files.
        """
        root, name = self.tree.root, cell.replace("\\", "/")
        for path in dict.fromkeys((cell, name)):
            if cell and file_size(os.path.join(root, path)) is not None:  # noqa: PTH118  many cells: fast
                return Path(os.path.normpath(root / path))
        matches = self.find_by_end(name) or (self.find_by_end(unquote(name)) if "%" in name else [])
        if len(matches) > 1:
            raise DataError(ambiguous_line(cell, matches))
        return root / matches[0] if matches else None

    def find_by_end(self, name: str) -> list[str]:
        """Return the files whose path ends as `name` does, only those of the same case if there is one."""
        parts = [part for part in _normalised(name).split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            return []
        tail = "/" + "/".join(parts)
        named = [path for path in self.by_name.get(parts[-1], ()) if f"/{_normalised(path)}".endswith(tail)]
        stems = self.by_stem.get(parts[-1], ())
        matches = named or [path for path in stems if f"/{_without_suffix(_normalised(path))}".endswith(tail)]
        exact = [path for path in matches if name in path]
        return exact if len(exact) == 1 else matches


@dataclass(frozen=True)
class Pattern:
    """File names made of a cell: `before`, the cell (a number of `width` digits unless None), `after`."""

    before: str
    width: int | None
    after: str

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Parse a pattern such as "BloodImage_{:05d}.jpg" or "scan {}.png".

        Raises:
            DataError: it is none.
        """
        match = _PATTERN.fullmatch(text)
        if not match:
            raise DataError(f"pattern '{text}' needs one {{}} for the cell, {{:d}} or {{:05d}} for a number")
        before, number, width, after = match.groups()
        return cls(before, int(width or 1) if number else None, after)

    def file_name(self, cell: str, number: int | None) -> str:
        """Return the file's name for a cell, which means that number or None.

        Raises:
            DataError: the cell must be a whole number, and is not.
        """
        if self.width is None:
            return f"{self.before}{cell}{self.after}"
        if number is None:
            raise DataError(f"'{printable(cell)}' is no whole number, which pattern '{self}' needs")
        return f"{self.before}{number:0{self.width}d}{self.after}"

    def __str__(self) -> str:
        width = {None: "", 1: ":d"}.get(self.width, f":0{self.width}d")
        return f"{self.before}{{{width}}}{self.after}"


def guess_pattern(images: Iterable[str], cell_numbers: Collection[int]) -> Pattern | None:
    """Return the one pattern by which these numbers name images; None if there is none.

    Numbers are padded to as many digits as those have that begin with a zero.

    Raises:
        DataError: there are several.
    """
    names = {image.rpartition("/")[2] for image in images}
    numbers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        suffix = name[len(_without_suffix(name)) :]
        if match := LAST_NUMBER.fullmatch(name.removesuffix(suffix)):
            numbers[match[1], match[3] + suffix].append(match[2])
    patterns = []
    for (before, after), digits in sorted(numbers.items()):
        pattern = Pattern(before, max((len(d) for d in digits if d.startswith("0")), default=1), after)
        if any(pattern.file_name("", number) in names for number in cell_numbers):
            patterns.append(pattern)
    if len(patterns) > 1:
        ways = " or ".join(f"`?{PATTERN}={escaped(printable(str(pattern)))}`" for pattern in patterns[:5])
        raise DataError(f"its numbers fit names by several patterns; {ways} behind the source says which")
    return patterns[0] if patterns else None


def locate_images(
    table: Table, column: str, tree: FileTree, pattern_text: str | None
) -> tuple[dict[int, Path | None], list[str]]:
    """Return the file of each line, None if it does not exist, and notes on what was guessed.

    Cells are completed by a pattern if one is given, or if they are numbers none of which is a file's name. Others
    are found by their numbers, as `find_renumbered` does; paths of another machine, and all paths if none of them
    fits, by their ends, as `find_moved` does.

    Raises:
        DataError: no cell's file exists, a cell may name several files, or does not fit the pattern.
    """
    index = ImageIndex(tree)
    cells = {row.line: row.cells[column] for row in table.rows}
    filled = {*cells.values()} - {""}
    numbers = read_numbers(filled)

    def find_all(pattern: Pattern | None) -> dict[int, Path | None]:
        paths = {}
        for line, cell in cells.items():
            try:
                completed = pattern if cell and (pattern_text or cell in numbers) else None
                name = completed.file_name(cell, numbers.get(cell)) if completed else cell
                paths[line] = index.find(name)
            except DataError as error:
                raise DataError(f"line {line}: {error}") from None
        return paths

    notes = []
    try:
        paths = find_all(Pattern.parse(pattern_text) if pattern_text else None)
        only_numbers = all(cell in numbers or read_rounded(cell) for cell in filled)
        if not pattern_text and not any(paths.values()) and only_numbers:
            pattern = guess_pattern(tree.images, numbers.values())
            if pattern:
                paths = find_all(pattern)
                notes.append(f"files: '{printable(str(pattern))}' of column '{column}', by their names")
        if not pattern_text:
            absent = [cell for line, cell in cells.items() if cell and paths[line] is None]
            paths_named = {*paths.values()}
            named = [image for image in tree.images if tree.root / image in paths_named] if absent else []
            renumbered = find_renumbered(absent, numbers, tree.images, named)
            paths |= {line: tree.root / renumbered[cell] for line, cell in cells.items() if cell in renumbered}
            notes += note_renumbered(column, renumbered)
            absent = [cell for cell in absent if cell not in renumbered]
            moved = find_moved([c for c in absent if is_foreign(c) or not any(paths.values())], tree)
            paths |= {line: tree.root / moved[cell] for line, cell in cells.items() if cell in moved}
            notes += note_moved(column, moved)
            notes += note_rounded(column, [cell for cell in absent if cell not in moved])
    except DataError as error:
        raise DataError(f"column '{column}': {error}") from None
    if not any(paths.values()):
        first = printable(table.rows[0].cells[column]) or BLANK
        raise DataError(
            f"no image of column '{column}' is there, the first '{first}'; looked below {tree.root} "
            f"({len(tree.images)} images){hint_of_elsewhere(cells.values(), tree.root)}; columns: "
            f"{', '.join(table.columns)}"
        )
    return paths, notes


def _without_suffix(name: str) -> str:
    return name[: len(name) - len(image_suffix(name))]


def _normalised(name: str) -> str:
    """Return a name in the form in which names are compared: accents composed, in lower case."""
    return unicodedata.normalize("NFC", name).lower()
