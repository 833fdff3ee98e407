"""Score predicted files by a table of labels: nothing is written into the run, and no read of its test split."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medray.data.listing.file_tree import FileTree
from medray.data.listing.listing import Listing
from medray.data.listing.tables.blanks import hint_to_keep, with_blanks
from medray.data.listing.tables.columns import choose_columns
from medray.data.listing.tables.list_table import list_rows
from medray.data.listing.tables.plain_numbers import with_plain_numbers
from medray.data.listing.tables.row_labels import read_labels
from medray.data.listing.tables.table_text import read_table
from medray.data.listing.tables.words import blank_words
from medray.data.source import BLANKS, CSV, parse_source
from medray.ensemble.manifest import Manifest
from medray.errors import ConfigError, DataError, MedrayError, printable
from medray.evaluate.external.class_map import MappedClass, map_classes, parse_map
from medray.evaluate.external.figures import ExternalFigures, measure_figures
from medray.evaluate.external.load_external import image_digest
from medray.predict.find_images import ImageFile
from medray.predict.predict_files import FileAnswer
from medray.runs.finished_search import open_finished_search
from medray.space.published import TEST
from medray.tasks import TASKS
from medray.text import first_names, plural


@dataclass(frozen=True)
class ScoredFiles:
    """The figures of files that have a label, their classes, and what a person should know of them."""

    figures: ExternalFigures
    classes: tuple[MappedClass, ...]
    notes: tuple[str, ...]

    def to_json(self, run: str, labels: str) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        classes = [row.to_dict() for row in self.classes]
        return {
            "run": run, "labels": labels, "classes": classes, **self.figures.to_dict(), "notes": list(self.notes),
        }  # fmt: skip


def list_labels(labels: str, files: Sequence[ImageFile]) -> Listing:
    """Return the files that rows of a table name, with their labels; `labels` is its path, or csv:PATH?label=..

    A cell names a file by the end of its path, with or without suffix, wherever the table lies.

    Raises:
        ConfigError: it is no table.
        DataError: the table or its columns can't be read, or no row names one of the files.
    """
    source = parse_source(labels if labels.startswith(f"{CSV}:") else f"{CSV}:{labels}")
    if not source.path.is_file():
        raise ConfigError(f"--labels {printable(labels)}: no such table")
    paths = sorted({_absolute(file.path).removeprefix("/") for file in files})
    tree = FileTree(Path("/"), tuple(paths), (), ())
    table = read_table(source.path)
    columns = choose_columns(table, source.options)
    table, _, unlabelled = with_blanks(table, columns, blank_words(source.options.get(BLANKS)))
    table, _ = with_plain_numbers(table, columns)
    try:
        row_labels, notes = read_labels(table, columns, source.options, unlabelled)
        return list_rows(table, columns, row_labels, tree, source, notes, unlabelled)
    except DataError as error:
        raise error.within(file=table.path) from None


def _absolute(path: Path) -> str:
    return os.path.normpath(path.absolute())  # links keep the names that a table has


def score_files(
    answers: Sequence[FileAnswer], listing: Listing, class_map: Sequence[str], manifest: Manifest
) -> ScoredFiles:
    """Return the figures of the predicted files that have one label each.

    Raises:
        ConfigError: `class_map` can't be read, or the ensemble says several labels an image.
        DataError: a class is neither the ensemble's nor mapped, only some files have a patient, or none is left.
    """
    if TASKS[manifest.task].label_sets:
        raise ConfigError(
            "--labels scores one class an image, and this ensemble says several labels; predict without it, or "
            "read the run's own test split: medray evaluate RUN"
        )
    counts = Counter(label for image in listing.images for label in dict.fromkeys(image.labels))
    class_names = manifest.class_names
    hint = hint_to_keep(listing.read_as_blank)
    classes = map_classes(counts, parse_map(class_map, class_names), class_names, listing.source, hint)
    ours = {row.theirs: row.ours for row in classes}
    by_path = {_absolute(answer.path): answer for answer in answers}
    kept, labels = [], []
    for image in listing.images:
        mapped = {ours[label] for label in image.labels} - {None}
        if str(image.path) in by_path and len(mapped) == 1 and not image.uncertain:
            kept.append(image)
            labels.append(class_names.index(str(mapped.pop())))
    if not kept:
        raise DataError(f"{listing.source}: no file that was predicted has one label")
    patients = [image.patient for image in kept]
    if any(patients) and not all(patients):
        raise DataError(f"{listing.source}: {patients.count(None)} of {len(kept)} files have no patient")
    probabilities = np.stack([by_path[str(image.path)].probabilities for image in kept])
    figures = measure_figures(
        probabilities, np.array(labels, dtype=np.int64), class_names, manifest.task,
        np.array(patients) if all(patients) else None, manifest.operating_points, manifest.conformal_sets,
    )  # fmt: skip
    scored = {str(image.path) for image in kept}
    others = [printable(path) for path in by_path if path not in scored]
    note = f"no score of {plural(len(others), 'file')} without one label: {first_names(others)}"
    return ScoredFiles(figures, classes, (note,) if others else ())


def check_not_test(location: str, answers: Sequence[FileAnswer]) -> str | None:
    """Check that no file is an image of the run's test split, by its pixels; return why that can't be told.

    Raises:
        ConfigError: some are: scoring them would be a read of the test split, which nothing counts.
    """
    try:
        dataset = open_finished_search(location).load_data()
    except (MedrayError, OSError) as error:
        return f"whether they are of the run's test split can't be told: {error}"
    test = {image_digest(dataset.images[position]) for position in dataset.splits[TEST].tolist()}
    same = [printable(str(answer.path)) for answer in answers if answer.digest in test]
    if same:
        raise ConfigError(
            f"{plural(len(same), 'file')} (first: {same[0]}) of the run's test split: scoring them is a read of "
            f"it; `medray evaluate {location}` does that and counts it; predict them without --labels"
        )
    return None
