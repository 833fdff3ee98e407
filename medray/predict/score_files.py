"""Score predicted files by a table of labels: nothing is written into the run, and no read of its test split."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array
from medray.data.listing.file_tree import FileTree
from medray.data.listing.listing import ListedImage, Listing
from medray.data.listing.tables.blanks import hint_to_keep, with_blanks
from medray.data.listing.tables.columns import choose_columns
from medray.data.listing.tables.list_table import list_rows
from medray.data.listing.tables.plain_numbers import with_plain_numbers
from medray.data.listing.tables.row_labels import read_labels
from medray.data.listing.tables.table_text import read_table
from medray.data.listing.tables.words import blank_words
from medray.data.source import BLANKS, CSV, parse_source
from medray.ensemble.ensemble import Ensemble
from medray.errors import ConfigError, DataError, MedrayError, printable
from medray.evaluate.external.case_labels import label_by_case, note_lost, number_listed, with_unlabelled
from medray.evaluate.external.class_map import MappedClass, map_classes, parse_map
from medray.evaluate.external.external_labels import (
    choose_external_sets,
    complete_map,
    count_labels,
    none_label,
)
from medray.evaluate.external.figures import ExternalFigures, measure_figures
from medray.evaluate.external.load_external import image_digest
from medray.predict.find_images import ImageFile
from medray.predict.predict_cases import predict_cases
from medray.predict.predict_files import FileAnswer
from medray.runs.finished_search import find_run, open_finished_search
from medray.space.preparation import Labels
from medray.space.published import TEST
from medray.stats.cases import CaseIndex
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


def run_rules(location: str) -> Labels:
    """Return what a run's search space does to labels; the defaults where an ensemble is all there is."""
    try:
        return find_run(location).read_space().preparation.labels
    except (MedrayError, OSError):
        return Labels()


def score_files(
    answers: Sequence[FileAnswer], listing: Listing, class_map: Sequence[str], ensemble: Ensemble, rules: Labels
) -> ScoredFiles:
    """Return the figures of the predicted files that have one label each, or labels where they may have several.

    Where the ensemble answers by case and the table knows the cases, the files of a case are answered and measured
    together, those without a usable label too (`medray.evaluate.external.case_labels`). Without cases figures are
    by image, and have none of what was set on cases. `rules` are the run's.

    Raises:
        ConfigError: `class_map` can't be read.
        DataError: a class is neither the ensemble's nor mapped, only some files have a patient, files of a case
            have several classes, or none is left.
    """
    manifest, source = ensemble.manifest, listing.source
    names, by_path = manifest.class_names, {_absolute(answer.path): answer for answer in answers}
    none = none_label(rules, names, manifest.task)
    mapped = parse_map(class_map, [*([none] if none else []), *names])
    predicted = [row for row, image in enumerate(listing.images) if str(image.path) in by_path]
    of_predicted = replace(listing, images=tuple(listing.images[row] for row in predicted))
    several = TASKS[manifest.task].label_sets
    if not several:
        counts: dict[str, int] = Counter(
            label for image in listing.images for label in dict.fromkeys(image.labels)
        )
    else:
        counts = count_labels(of_predicted, names, rules, mapped)
    hint = hint_to_keep(listing.read_as_blank)
    classes = map_classes(counts, complete_map(counts, rules, mapped), names, source, hint, none)
    if not predicted:
        raise DataError(f"{source}: no file that was predicted has a label")
    if several:
        labelled = choose_external_sets(of_predicted, classes, names, none, rules)
        positions, labels = labelled.positions, labelled.labels
        notes, without = [*labelled.notes], "a label that is known"
    else:
        positions, labels = _one_label_each(of_predicted.images, classes, names, source)
        notes, without = [], "one label"
    rows = np.array(predicted)
    scored, figures, more = _measure(listing.images, rows, rows[positions], labels, by_path, ensemble, source)
    answering = {str(listing.images[row].path) for row in scored.tolist()}
    others = [printable(path) for path in by_path if path not in answering]
    if others:
        notes.append(f"no score of {plural(len(others), 'file')} without {without}: {first_names(others)}")
    unnamed = len({*by_path} - {str(image.path) for image in listing.images})
    if unnamed and figures.cases is not None:
        them = "it" if unnamed == 1 else "them"
        notes.append(
            f"no row names {plural(unnamed, 'file')}, so whether a case answered without {them} is not known"
        )
    return ScoredFiles(figures, classes, (*notes, *more))


def _one_label_each(
    images: Sequence[ListedImage], classes: Sequence[MappedClass], class_names: Sequence[str], source: str
) -> tuple[Array, Array]:
    """Return the positions of images that have one label, and their classes, both int64 (n,).

    Raises:
        DataError: there is none.
    """
    ours = {row.theirs: row.ours for row in classes}
    kept, labels = [], []
    for position, image in enumerate(images):
        mapped = {ours[label] for label in image.labels} - {None}
        if len(mapped) == 1 and not image.uncertain:
            kept.append(position)
            labels.append(class_names.index(str(mapped.pop())))
    if not kept:
        raise DataError(f"{source}: no file that was predicted has one label")
    return np.array(kept, dtype=np.int64), np.array(labels, dtype=np.int64)


def _measure(
    images: Sequence[ListedImage], predicted: Array, labelled: Array, labels: Array,
    by_path: Mapping[str, FileAnswer], ensemble: Ensemble, source: str,
) -> tuple[Array, ExternalFigures, list[str]]:  # fmt: skip
    """Return which images are measured (m,), their figures, by case where they can be, and notes on that.

    `predicted` and `labelled` (n,) are positions of `images`; these have `labels` (n, ..).
    """
    manifest, patients = ensemble.manifest, [images[row].patient for row in labelled.tolist()]
    if any(patients) and not all(patients):
        raise DataError(f"{source}: {patients.count(None)} of {len(labelled)} files have no patient")
    names, task = manifest.class_names, manifest.task
    points, sets, notes = manifest.operating_points, manifest.conformal_sets, []
    if manifest.cases is not None:
        try:
            numbers = number_listed(images, labelled, manifest.cases.by, source)
        except DataError as error:
            points, sets = (), ()
            notes.append(
                f"figures are by image, and the ensemble answers by {manifest.cases.by}; its operating points and "
                f"sets were set on cases, so they are not measured here: {error}"
            )
        else:
            table, with_label = with_unlabelled(labels, labelled, len(images))
            by_case = label_by_case(
                table[predicted], with_label[predicted], CaseIndex(manifest.cases, numbers[predicted])
            )
            rows = predicted[by_case.positions]
            paths, cases = [images[row].path for row in rows.tolist()], CaseIndex(manifest.cases, numbers[rows])
            groups = np.array([images[row].patient for row in rows[cases.first].tolist()])
            lost = note_lost(numbers[np.setdiff1d(np.arange(len(images)), predicted)], cases.numbers)
            figures = measure_figures(
                predict_cases(ensemble, paths, cases.numbers), cases.labels(by_case.labels), names, task,
                groups if all(patients) else None, points, sets, len(rows),
            )  # fmt: skip
            note = f"cases: {len(cases)} of {plural(len(rows), 'file')}, {cases.rule.text}"
            return rows, figures, [note, *lost, *by_case.notes]
    probabilities = np.stack([by_path[str(images[row].path)].probabilities for row in labelled.tolist()])
    figures = measure_figures(
        probabilities, labels, names, task, np.array(patients) if all(patients) else None, points, sets
    )
    return labelled, figures, notes


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
