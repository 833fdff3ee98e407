"""Find the image files that a person means: files, folders, tables of files, and sources as training has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medray.data.listing.exclude import MASKS, exclude_paths, outermost, relative_path
from medray.data.listing.file_tree import FileTree, find_files, image_suffix
from medray.data.listing.side_cars.check_side_cars import find_side_cars, keeps_side_cars
from medray.data.listing.side_cars.patterns import find_patterns
from medray.data.listing.tables.column_names import find_column, guess_column
from medray.data.listing.tables.exclude_rows import exclude_rows
from medray.data.listing.tables.image_cells import ImageIndex
from medray.data.listing.tables.table_text import SPREADSHEETS, Row, Table, read_table
from medray.data.source import CSV, EXCLUDE, FILE_KINDS, IMAGE, Source, parse_source
from medray.errors import DataError, not_found_line, printable
from medray.files import expanded, path_exists
from medray.text import first_names, plural

TABLES = (".csv", ".tsv", ".txt", *SPREADSHEETS)


@dataclass(frozen=True)
class ImageFile:
    """A file to predict; `cell` is what names it in a table, None where no table does.

    `below` is its path below the folder that was given, or that of its table, else as it was given itself; `row`
    are the cells of its row of a table by column.
    """

    path: Path
    cell: str | None = None
    below: str = ""
    row: Mapping[str, str] = field(default_factory=dict, compare=False)

    def fields(self) -> dict[str, str]:
        """Return the fields of an output column that are made of its name."""
        path = self.path
        name, stem = (path.name, path.stem) if self.cell is None else (self.cell, self.cell)
        return {"path": str(path), "file": path.name, "stem": path.stem, "name": name, "id": stem}


@dataclass
class FoundImages:
    """The `files` in the order that they were given in; `missing` has a line for each row of a table without one.

    `notes` say what was guessed and what is not predicted; `absent` are the files that such rows name.
    """

    files: list[ImageFile] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    absent: list[ImageFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_images(paths: Sequence[str], by: str | None = None) -> FoundImages:
    """Find the images of files, folders with all folders below, and tables of files; column `by` is read later.

    `folder:PATH?exclude=..`, `dicom:PATH` and `csv:PATH?image=..&pattern=..` are read as in training, but need no
    classes.

    Raises:
        DataError: a path does not exist, a folder holds no images, or a table's files can't be found.
    """
    found = FoundImages()
    for text in paths:
        path, kind = expanded(text), text.partition(":")[0]
        if kind in FILE_KINDS and not path_exists(path):
            source = parse_source(text)
            if source.kind == CSV:
                _add_table(found, source, by)
            else:
                _add_folder(found, source)
        elif path.is_dir():
            _add_folder(found, Source(FILE_KINDS[0], text))
        elif path.suffix.lower() in TABLES and path.is_file():
            _add_table(found, Source(CSV, text), by)
        elif path.suffix.lower() == ".npz":
            raise DataError(
                f"{printable(text)} holds arrays; image files are predicted: give files, folders or a table of "
                "files, or ask Study.predict in Python"
            )
        elif path.is_file():
            found.files.append(ImageFile(path, below=path.as_posix()))
        else:
            raise DataError(not_found_line("file or folder", path))
    return found


def _add_folder(found: FoundImages, source: Source) -> None:
    """Add all images below a folder."""
    tree, notes = exclude_paths(find_files(source.path), source.options.get(EXCLUDE))
    shown = printable(str(source.path))
    others = first_names([printable(name) for name in tree.ignored])
    if not tree.images:
        raise DataError(f"{shown} holds no images{f', only {others}' if others else ''}")
    if others:
        notes.append(f"{shown}: {plural(len(tree.ignored), 'other file')} left out: {others}")
    masks = [folder for image in tree.images if (folder := outermost(image, MASKS)) is not None]
    if masks:
        names = ",".join(sorted(set(masks)))
        notes.append(
            f"{shown}: {plural(len(masks), 'image')} in folders of masks, predicted like the others; "
            f"'folder:{shown}?{EXCLUDE}={names}' leaves them out"
        )
    side_cars = [car for car in find_side_cars(tree.images) if outermost(car.path, MASKS) is None]
    if side_cars and not keeps_side_cars(source):
        first, patterns = side_cars[0], ",".join(find_patterns(side_cars, tree.images))
        way = f"; 'folder:{shown}?{EXCLUDE}={patterns}' leaves them out" if patterns else ""
        notes.append(
            f"{shown}: {plural(len(side_cars), 'image')} made from others (masks, labels, overlays), as "
            f"'{printable(first.path)}' from '{printable(first.image)}', predicted like the others{way}"
        )
    found.notes += notes
    found.files += [ImageFile(source.path / name, below=name) for name in tree.images]


def _add_table(found: FoundImages, source: Source, by: str | None) -> None:
    """Add the images that a table's rows name, in the order of the rows."""
    table, tree = read_table(source.path), find_files(source.path.parent.resolve())
    table, notes = _with_first_line(table, ImageIndex(tree))
    if IMAGE in source.options:
        column = find_column(table, source.options[IMAGE])
    else:
        column, note = _image_column(table, tree)
        notes.append(note)
    try:
        table, tree, paths, file_notes = exclude_rows(table, column, tree, source.options)
    except DataError as error:
        raise error.within(file=table.path) from None
    others = [name for name in table.columns if name != column and name.casefold() != str(by).casefold()]
    if others:
        notes.append(f"columns that are not read: {first_names(others, 6)}")
    shown = printable(str(source.path))
    found.notes += [f"{shown}: {note}" for note in [*table.notes, *notes, *file_notes]]
    for row in table.rows:
        file, cell = paths[row.line], row.cells[column]
        if file is None:
            problem = f"no file '{printable(cell)}'" if cell else "names no file"
            found.missing.append(f"{shown}: line {row.line}: {problem}")
            found.absent.append(ImageFile(source.path.parent / cell, cell, cell, row.cells))
        else:
            below = relative_path(file, tree.root)
            if file.is_relative_to(tree.root):  # as it was given, not resolved
                file = source.path.parent / file.relative_to(tree.root)
            found.files.append(ImageFile(file, cell, below, row.cells))


def _with_first_line(table: Table, index: ImageIndex) -> tuple[Table, list[str]]:
    """Return the table with its first line as a row where that names a file: a list of files without headings."""
    # Only with a suffix: a heading such as image may be the name of a file too.
    if not any(image_suffix(name) and _names_file(index, name) for name in table.columns):
        return table, []
    columns = tuple(f"column {number}" for number in range(1, len(table.columns) + 1))
    new_names = dict(zip(table.columns, columns, strict=True))
    rows = [Row(row.line, {new_names[name]: cell for name, cell in row.cells.items()}) for row in table.rows]
    first = Row(1, {new_name: name for name, new_name in new_names.items()})
    return replace(table, columns=columns, rows=(first, *rows)), ["the first line names a file: no headings"]


def _image_column(table: Table, tree: FileTree) -> tuple[str, str]:
    """Return the column that names the files, by its name or else by its cells, and a note that says so.

    Raises:
        DataError: there is none, or several.
    """
    try:
        named = guess_column(table, IMAGE, set())
    except DataError:  # several
        named = None
    if named is not None:
        return named, f"image: column '{named}', by its name"
    index = ImageIndex(tree)
    fitting = [
        column
        for column in table.columns
        if 2 * sum(_names_file(index, row.cells[column]) for row in table.rows) >= len(table.rows)
    ]
    if len(fitting) == 1:
        return fitting[0], f"image: column '{fitting[0]}', the only one whose cells name images"
    several = "' and '".join(fitting)
    problem = f"columns '{several}' may all name the images" if fitting else "no column names images"
    raise DataError(
        f"{problem}; give it as 'csv:{printable(str(table.path))}?image=COLUMN'; its columns: "
        f"{', '.join(table.columns)}",
        file=table.path,
    )


def _names_file(index: ImageIndex, cell: str) -> bool:
    try:
        return bool(cell) and index.find(cell) is not None
    except DataError:  # it may be any of several
        return True
