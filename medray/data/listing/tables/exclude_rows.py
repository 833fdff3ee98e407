"""Leave out a table's rows whose files the option `exclude` fits, and find the files of the others."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medray.data.listing.exclude import Entry, Exclusion, exclude_paths, relative_path
from medray.data.listing.file_tree import FileTree
from medray.data.listing.tables.id_numbers import read_numbers
from medray.data.listing.tables.image_cells import ImageIndex, Pattern, locate_images
from medray.data.listing.tables.moved_paths import path_parts
from medray.data.listing.tables.table_text import Table
from medray.data.source import EXCLUDE, PATTERN
from medray.errors import DataError, printable
from medray.text import plural

Located = tuple[Table, FileTree, dict[int, Path | None], list[str]]


def exclude_rows(table: Table, column: str, tree: FileTree, options: Mapping[str, str]) -> Located:
    """Return the rows and files that are kept, the path of each line, None if it does not exist, and notes.

    A file that is left out is no candidate for the cell of any row. A row is left out if its cell names such a
    file: by its path, or where the entry fits what the cell says of the path.

    Raises:
        DataError: as `locate_images`, and where an entry of the option fits no file, or no row is left.
    """
    option, pattern = options.get(EXCLUDE), options.get(PATTERN)
    if option is None:
        return table, tree, *locate_images(table, column, tree, pattern)
    exclusion = Exclusion.parse(option)
    excluded = replace(tree, images=tuple(path for path in tree.images if exclusion.first_match(path)))
    index, form = ImageIndex(excluded), Pattern.parse(pattern) if pattern else None
    numbers = read_numbers({row.cells[column] for row in table.rows} - {""})
    matches = {row.line: _entry_of(row.cells[column], numbers, form, index, exclusion) for row in table.rows}
    rows = tuple(row for row in table.rows if matches[row.line] is None)
    left_out = [row for row in table.rows if matches[row.line] is not None]
    kept, notes = exclude_paths(tree, option, also=["/".join(path_parts(r.cells[column])) for r in left_out])
    if not rows:
        raise DataError(f"option '{EXCLUDE}' leaves none of the {plural(len(table.rows), 'row')}")
    if left_out:
        first = f"line {left_out[0].line}: '{printable(left_out[0].cells[column])}'"
        notes.append(f"rows left out by {EXCLUDE}: {len(left_out)}, the first {first}")
    paths, file_notes = locate_images(replace(table, rows=rows), column, kept, pattern)
    return replace(table, rows=rows), kept, paths, [*notes, *file_notes]


def _entry_of(
    cell: str, numbers: Mapping[str, int], form: Pattern | None, index: ImageIndex, exclusion: Exclusion
) -> Entry | None:
    """Return the entry that leaves out the row of a cell; None if it is kept. `numbers` are what cells mean."""
    try:
        cell = form.file_name(cell, numbers.get(cell)) if form and cell else cell
        file = index.find(cell)
    except DataError:  # several files, or none by the pattern: `locate_images` says so of rows that are kept
        return None
    parts = path_parts(cell)
    if file is None or not parts:
        return exclusion.first_match("/".join(parts)) if parts else None
    if (index.tree.root / cell.replace("\\", "/")).exists():
        return exclusion.first_match(relative_path(file, index.tree.root))
    return exclusion.first_match("/".join(file.parts[-len(parts) :]))
