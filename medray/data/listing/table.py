"""Images named by a table, one row for each: CSV or TSV, by columns that are named or guessed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medray.data.dataset import Fold
from medray.data.listing.dicom_patients import with_dicom_patients
from medray.data.listing.folder_names import SPLIT_NAMES, one_spelling, split_named, tidy
from medray.data.listing.listing import BLANK, TEST, ListedImage, Listing, counted_as
from medray.data.listing.scan import FoundFiles, find_files
from medray.data.listing.table_blanks import blank_words, hint_to_keep, with_blanks
from medray.data.listing.table_cells import NUMBER, ImageIndex, Pattern, guess_pattern
from medray.data.listing.table_columns import Columns, choose_columns, is_one
from medray.data.listing.table_text import Row, Table, read_table
from medray.data.source import BLANKS, PATTERN, Source
from medray.errors import DataError, printable, unknown_choice_line


@dataclass(frozen=True)
class Entry:
    """What a row says: its file, None if it is not there, and all else in the order of a comparison."""

    line: int
    cell: str
    path: Path | None
    labels: tuple[str, ...]
    split: str | None
    fold: int | None
    patient: str | None
    subgroups: Mapping[str, str]


def list_table(source: Source) -> Listing:
    """List the images of a table's rows, in their order.

    The source's options name the columns for image, label, split, fold, patient and subgroups (several, with
    commas), and the pattern of file names; columns that are not named are guessed and noted, except subgroups. A
    cell names its image
    by a path from the table's folder, by a name of any file below that folder, with or without suffix, or by the
    number in a name. Labels are parted at comma, semicolon and bar. Where each class has a column, `none` is the
    label of rows with a 1 in none of them. A label, split, fold or patient of NA, nan, N/A, null or none is blank;
    `blank` names other words for it, with commas, or none.

    Raises:
        DataError: the table or its columns can't be read, a cell is not what it must be, two rows of one image
            differ, a cell may name several files, or no image is there.
    """
    path = source.path
    table = read_table(path)
    chosen = choose_columns(table, source.options)
    table, blanks, unlabelled = with_blanks(table, chosen, blank_words(source.options.get(BLANKS)))
    found = find_files(path.parent.resolve())
    paths, more = _locate(table, chosen, found, source.options.get(PATTERN, ""))
    entries, renamed = _one_spelling([_entry(table, chosen, row, paths[row.line]) for row in table.rows])
    _check_classes(table, chosen, entries, hint_to_keep(unlabelled))
    kept, repeated = _once(table, entries)
    images, patients = with_dicom_patients(_images(kept)) if not chosen.patient else (_images(kept), [])
    notes = [*chosen.notes, *blanks, *more, *renamed, *repeated, *patients, *_without_row(found, kept)]
    return Listing(
        str(source),
        found.root,
        images,
        folds=_folds(table, chosen, kept),
        missing=tuple(f"line {e.line}: {printable(e.cell) or BLANK}" for e in entries if e.path is None),
        ignored=tuple(printable(name) for name in found.ignored if name != path.name),
        notes=tuple(notes),
        rows=Counter(counted_as(entry.labels) for entry in entries),
        class_columns=bool(chosen.one_hot),
        read_as_blank=unlabelled,
    )


# -- files


def _locate(
    table: Table, chosen: Columns, found: FoundFiles, written: str
) -> tuple[dict[int, Path | None], list[str]]:
    """The file of each line; by a pattern if one is named, or if numbers name no files as they are."""
    index = ImageIndex(found)
    try:
        pattern, notes = Pattern.read(written) if written else None, []
        paths = _find(table, chosen, index, pattern)
        cells = {row.cells[chosen.image] for row in table.rows} - {""}
        if not written and not any(paths.values()) and all(map(NUMBER.fullmatch, cells)):
            pattern = guess_pattern(found.images, cells)
            if pattern:
                paths = _find(table, chosen, index, pattern)
                notes = [f"files: '{printable(str(pattern))}' of column '{chosen.image}', by their names"]
    except DataError as error:
        raise DataError(f"{table.path}: column '{chosen.image}': {error}") from None
    if not any(paths.values()):
        first = printable(table.rows[0].cells[chosen.image]) or BLANK
        raise DataError(
            f"{table.path}: no image of column '{chosen.image}' is there, the first '{first}'; looked below "
            f"{found.root} ({len(found.images)} images); columns: {', '.join(table.columns)}"
        )
    return paths, notes


def _find(table: Table, chosen: Columns, index: ImageIndex, pattern: Pattern | None) -> dict[int, Path | None]:
    paths: dict[int, Path | None] = {}
    for row in table.rows:
        cell = row.cells[chosen.image]
        try:
            paths[row.line] = index.find(pattern.name(cell) if pattern and cell else cell)
        except DataError as error:
            raise DataError(f"line {row.line}: {error}") from None
    return paths


def _without_row(found: FoundFiles, kept: Sequence[Entry]) -> list[str]:
    named = {entry.path for entry in kept}
    left = [image for image in found.images if found.root / image not in named]
    return [f"images without a row, left out: {len(left)}, the first '{printable(left[0])}'"] if left else []


# -- cells


def _entry(table: Table, chosen: Columns, row: Row, path: Path | None) -> Entry:
    cell = row.cells[chosen.image]
    labels = _labels(chosen, row)
    patient = row.cells[chosen.patient] if chosen.patient else None
    subgroups = {name: row.cells[name] for name in chosen.subgroups}
    split, fold = _split(table, chosen, row), _fold(table, chosen, row)
    return Entry(row.line, cell, path, labels, split, fold, patient or None, subgroups)


def _labels(chosen: Columns, row: Row) -> tuple[str, ...]:
    if not chosen.label:
        ones = tuple(tidy(name) for name in chosen.one_hot if is_one(row.cells[name]))
        return ones or ((chosen.none,) if chosen.none else ())
    parts = row.cells[chosen.label].replace(";", ",").replace("|", ",").split(",")
    return tuple(printable(tidy(part)) for part in parts if part.strip())


def _split(table: Table, chosen: Columns, row: Row) -> str | None:
    cell = row.cells[chosen.split] if chosen.split else ""
    split = split_named(cell)
    if cell and not split:
        wrong = unknown_choice_line("split", printable(cell), SPLIT_NAMES)
        raise DataError(f"{table.path}: line {row.line}: column '{chosen.split}': {wrong}")
    return split


def _fold(table: Table, chosen: Columns, row: Row) -> int | None:
    cell = row.cells[chosen.fold].removesuffix(".0") if chosen.fold else ""
    if cell and not NUMBER.fullmatch(cell):
        valid = "valid: whole numbers of 0 or more"
        raise DataError(
            f"{table.path}: line {row.line}: column '{chosen.fold}': '{printable(cell)}' is no fold; {valid}"
        )
    return int(cell) if cell else None


# -- rows together


def _one_spelling(entries: list[Entry]) -> tuple[list[Entry], list[str]]:
    names, notes = one_spelling(label for entry in entries for label in entry.labels)
    renamed = [replace(e, labels=tuple(names[label] for label in e.labels)) for e in entries]
    twice = [e.line for e in renamed if len(set(e.labels)) < len(e.labels)]
    if twice:
        notes.append(f"rows that name one label more than once: {len(twice)}, the first line {twice[0]}")
    return renamed, notes


def _check_classes(table: Table, chosen: Columns, entries: Sequence[Entry], more: str) -> None:
    names = {label for entry in entries for label in entry.labels}
    if len(names) < 2:
        only = f"one class only, '{names.pop()}'" if names else "no classes"
        raise DataError(f"{table.path}: column '{chosen.label}' names {only}; at least two are needed{more}")


def _once(table: Table, entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """The rows whose file is there, the first of each file; others of it must say the same."""
    first: dict[Path, Entry] = {}
    again = []
    for entry in entries:
        if entry.path is None:
            continue
        before = first.setdefault(entry.path, entry)
        if before is not entry:
            again.append(entry.line)
            _check_same(table, before, entry)
    told = (
        f"rows of an image that a row before has named: {len(again)}, the first line {again[0]}" if again else ""
    )
    return list(first.values()), [told] if told else []


def _check_same(table: Table, before: Entry, entry: Entry) -> None:
    for kind in ("labels", "split", "fold", "patient", "subgroups"):
        one, other = getattr(before, kind), getattr(entry, kind)
        if kind == "labels":
            one, other = sorted(one), sorted(other)
        if one != other:
            lines = f"lines {before.line} and {entry.line} name one image, '{printable(entry.cell)}'"
            raise DataError(f"{table.path}: {lines}, with different {kind}: {_words(one)} and {_words(other)}")


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} '{printable(cell)}'" for name, cell in value.items())
    words = value if isinstance(value, list) else [value]
    return ", ".join(f"'{printable(str(word))}'" for word in words if word is not None) or BLANK


def _images(kept: Sequence[Entry]) -> tuple[ListedImage, ...]:
    return tuple(
        ListedImage(e.path, f"line {e.line}", e.labels, e.split, e.patient, e.subgroups) for e in kept if e.path
    )


def _folds(table: Table, chosen: Columns, kept: Sequence[Entry]) -> tuple[Fold, ...] | None:
    """Hold out each number of the fold column in turn, over all images but those of test."""
    if not chosen.fold:
        return None
    for entry in kept:
        if entry.fold is None and entry.split != TEST:
            raise DataError(
                f"{table.path}: line {entry.line}: column '{chosen.fold}' is blank, and it is not of test"
            )
    fold = np.array([-1 if e.split == TEST or e.fold is None else e.fold for e in kept], dtype=np.int64)
    numbers = np.unique(fold[fold >= 0])
    if len(numbers) < 2:
        raise DataError(f"{table.path}: column '{chosen.fold}' names {len(numbers)} fold; at least two are needed")
    return tuple(
        Fold(np.flatnonzero((fold >= 0) & (fold != number)), np.flatnonzero(fold == number)) for number in numbers
    )
