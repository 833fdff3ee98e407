"""List the images that a table names, CSV or TSV, one row for each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medray.data.dataset import Fold
from medray.data.listing.exclude import relative_path
from medray.data.listing.file_copies import note_copies
from medray.data.listing.file_tree import FileTree, find_files
from medray.data.listing.folder_names import tidy, unify_spelling
from medray.data.listing.listing import BLANK, CALIBRATION, TEST, ListedImage, Listing, counted_as
from medray.data.listing.side_cars.check_side_cars import check_side_cars
from medray.data.listing.tables.blanks import hint_to_keep, with_blanks
from medray.data.listing.tables.columns import Columns, choose_columns
from medray.data.listing.tables.exclude_rows import exclude_rows
from medray.data.listing.tables.hints import note_unused
from medray.data.listing.tables.origin import origin_columns
from medray.data.listing.tables.plain_numbers import with_plain_numbers
from medray.data.listing.tables.row_labels import RowLabels, read_labels
from medray.data.listing.tables.several_rows import RowAnswer, check_no_readers, unite_labels
from medray.data.listing.tables.table_patients import with_table_patients
from medray.data.listing.tables.table_text import Row, Table, read_table
from medray.data.listing.tables.words import blank_words
from medray.data.source import BLANKS, ROWS, UNCERTAIN, Source
from medray.errors import DataError, printable


@dataclass(frozen=True)
class Entry:
    """What a row says: its file, None if that does not exist, and the rest."""

    line: int
    cell: str
    path: Path | None
    labels: tuple[str, ...]
    uncertain: tuple[str, ...]
    split: str | None
    fold: int | None
    patient: str | None
    subgroups: Mapping[str, str]
    origin: Mapping[str, str]
    unlabelled: bool = False

    @classmethod
    def read(
        cls, row: Row, columns: Columns, path: Path | None, labels: RowLabels, origin: Sequence[str] = ()
    ) -> "Entry":
        """Read a row whose file is `path`; `origin` are the columns that say where it comes from.

        Raises:
            DataError: its split or fold is none.
        """
        return cls(
            line=row.line,
            cell=row.cells[columns.image],
            path=path,
            labels=labels.labels,
            uncertain=labels.uncertain,
            split=columns.read_split(row),
            fold=columns.read_fold(row),
            patient=(row.cells[columns.patient] or None) if columns.patient else None,
            subgroups={name: row.cells[name] for name in columns.subgroups},
            origin={name: row.cells[name] for name in origin},
            unlabelled=labels.unlabelled,
        )

    def check_equal(self, later: "Entry") -> None:
        """Check that a later row of the same image says the same, but for its labels.

        Raises:
            DataError: it does not.
        """
        for field in ("uncertain", "split", "fold", "patient", "subgroups"):
            values = [getattr(entry, field) for entry in (self, later)]
            if field == "uncertain":
                values = [sorted(value) for value in values]
            if values[0] != values[1]:
                rows = f"lines {self.line} and {later.line} name one image, '{printable(later.cell)}'"
                if field == "uncertain":
                    unsure = printable(", ".join(dict.fromkeys([*self.uncertain, *later.uncertain])))
                    raise DataError(
                        f"{rows}, with different uncertain labels ({unsure}): `?{UNCERTAIN}=negative` or "
                        f"`?{UNCERTAIN}=positive` behind the source reads them as no or yes"
                    )
                raise DataError(f"{rows}, with different {field}: {' and '.join(map(_in_words, values))}")


def _in_words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} '{printable(cell)}'" for name, cell in value.items())
    return BLANK if value is None else f"'{printable(str(value))}'"


def list_table(source: Source) -> Listing:
    """List the images of a table's rows, in their order.

    The source's options name the columns for image, label, split, fold, patient and subgroups (several, with
    commas), and the pattern of file names; columns that are not named are guessed and noted, except subgroups. A
    cell names its image by a path from the table's folder, by the name of any file below that folder, with or
    without suffix, or by the number in a name. `separator` divides a label's cells, or does not where it is none;
    without it they are divided where that is safe. In a table with a column for each class, which `label` may
    name with commas, `none` is the label of rows with a 1 in none of them, and `uncertain` says what -1 becomes. A
    label, split, fold or patient of NA, nan, N/A, null or none is blank; `blank` names other words for it, with
    commas, or none. `rows` says which label an image of several rows has; `patients` is a pattern that is searched
    in an image's path. Files that `exclude` fits are no row's,
    and rows that name them are left out. `side_cars=keep` takes masks for images.

    Raises:
        SideCarError: rows of one label name an image, and a mask or the like of it.
        DataError: the table or its columns can't be read, a cell is invalid, two rows of one image
            differ, a cell may name several files, or no image exists.
    """
    table = read_table(source.path)
    columns = choose_columns(table, source.options)
    table, blank_notes, unlabelled = with_blanks(table, columns, blank_words(source.options.get(BLANKS)))
    table, number_notes = with_plain_numbers(table, columns)
    notes = [*table.notes, *blank_notes, *number_notes, *note_unused(table, columns, source.options)]
    tree = find_files(source.path.parent.resolve())
    try:
        columns.check_splits(table)
        check_no_readers(columns.one_hot)
        row_labels, label_notes = read_labels(table, columns, source.options, unlabelled)
        return list_rows(table, columns, row_labels, tree, source, [*label_notes, *notes], unlabelled)
    except DataError as error:
        raise error.within(file=table.path) from None


def list_rows(
    table: Table,
    columns: Columns,
    row_labels: Mapping[int, RowLabels],
    tree: FileTree,
    source: Source,
    notes: Sequence[str],
    unlabelled: tuple[str, ...],
) -> Listing:
    """List the images of a table whose columns are known; `unlabelled` are words that were read as no label.

    Raises:
        DataError: as `list_table`, but without the name of the table.
    """
    table, tree, paths, file_notes = exclude_rows(table, columns.image, tree, source.options)
    origin = origin_columns(table, columns)
    entries = [Entry.read(row, columns, paths[row.line], row_labels[row.line], origin) for row in table.rows]
    names, spelling_notes = unify_spelling(label for entry in entries for label in entry.labels)
    if any(name != label for label, name in names.items()):
        entries = [replace(entry, labels=tuple(names[label] for label in entry.labels)) for entry in entries]
    classes = set(names.values())
    if len(classes) < 2:
        only = f"one class only, '{classes.pop()}'" if classes else "no classes"
        problem = f"column '{columns.label}' names {only}; at least two are needed{hint_to_keep(unlabelled)}"
        raise DataError(problem)
    rows_of = group_by_file(entries)
    answers = [[RowAnswer(e.line, e.cell, e.labels) for e in rows] for rows in rows_of.values()]
    labels, row_notes = unite_labels(answers, source.options.get(ROWS), table.columns)
    kept = {path: replace(rows[0], labels=new) for (path, rows), new in zip(rows_of.items(), labels, strict=True)}
    relative = [relative_path(path, tree.root) for path in kept]
    label_sets = [tuple(sorted(entry.labels)) for entry in kept.values()]
    side_notes = check_side_cars(relative, source, labels=label_sets)
    images: tuple[ListedImage, ...] = tuple(
        ListedImage(
            path, f"line {e.line}", e.labels, e.split, e.patient, e.subgroups, e.uncertain, e.origin, e.unlabelled
        )
        for path, e in kept.items()
    )
    images, patient_notes = with_table_patients(images, tree.root, columns.patient, source.options)
    counted = note_counts(entries, rows_of, tree)
    image_notes = [*spelling_notes, *row_notes, *side_notes, *note_copies(relative), *counted, *patient_notes]
    notes = [*columns.notes, *notes, *file_notes, *image_notes]
    return Listing(
        str(source),
        tree.root,
        images,
        folds=folds_from_column(columns, list(kept.values())),
        missing=tuple(f"line {e.line}: {printable(e.cell) or BLANK}" for e in entries if e.path is None),
        ignored=tuple(printable(name) for name in tree.ignored if name != table.path.name),
        notes=tuple(notes),
        rows=Counter(counted_as(() if entry.uncertain else entry.labels) for entry in entries),
        class_columns=bool(columns.one_hot),
        label_columns=tuple(names.get(tidy(name), tidy(name)) for name in columns.one_hot),
        read_as_blank=unlabelled,
    )


def note_counts(entries: Sequence[Entry], rows_of: Mapping[Path, Sequence[Entry]], tree: FileTree) -> list[str]:
    """Return notes on rows that say a thing twice, and on images without a row, as far as there are any."""
    repeated = sorted(entry.line for rows in rows_of.values() for entry in rows[1:])
    counts = {
        "rows that name one label more than once": [
            f"line {entry.line}" for entry in entries if len(set(entry.labels)) < len(entry.labels)
        ],
        "rows of an image that a row before has named": [f"line {line}" for line in repeated],
        "images without a row, left out": [
            f"'{printable(image)}'" for image in tree.images if tree.root / image not in rows_of
        ],
    }
    return [f"{title}: {len(names)}, the first {names[0]}" for title, names in counts.items() if names]


def group_by_file(entries: Sequence[Entry]) -> dict[Path, list[Entry]]:
    """Return the entries of each file that exists, in their order.

    Raises:
        DataError: two entries of a file differ in more than their labels.
    """
    rows_of: dict[Path, list[Entry]] = {}
    for entry in entries:
        if entry.path is not None:
            rows = rows_of.setdefault(entry.path, [])
            rows.append(entry)
            rows[0].check_equal(entry)
    return rows_of


def folds_from_column(columns: Columns, kept: Sequence[Entry]) -> tuple[Fold, ...] | None:
    """Hold out each number of the fold column in turn, over all images but those of test; None without a column.

    Raises:
        DataError: an image that is not of test has no fold, or there are fewer than two folds.
    """
    if not columns.fold:
        return None
    for entry in kept:
        if entry.fold is None and entry.split not in (TEST, CALIBRATION):
            raise DataError(f"line {entry.line}: column '{columns.fold}' is blank, and it is not of test")
    folds = np.array([-1 if e.split == TEST or e.fold is None else e.fold for e in kept], dtype=np.int64)
    numbers = np.unique(folds[folds >= 0])
    if len(numbers) < 2:
        raise DataError(f"column '{columns.fold}' names {len(numbers)} fold; at least two are needed")
    return tuple(
        Fold(np.flatnonzero((folds >= 0) & (folds != number)), np.flatnonzero(folds == number))
        for number in numbers
    )
