"""Predict image files by case: one row for each, and the file that weighed most in its answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.decoding import Decoded, decode_file
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.ensemble.case_answers import CaseAnswers, answer_with_weights
from medray.ensemble.ensemble import Ensemble
from medray.errors import printable
from medray.predict.class_numbers import class_numbers
from medray.predict.file_cases import FileCases
from medray.predict.find_images import ImageFile
from medray.predict.output_columns import Column
from medray.predict.predict_cases import whole_cases
from medray.predict.predict_files import FilePredictions, answer_values, check_columns


def predict_file_cases(
    ensemble: Ensemble, cases: FileCases, columns: Sequence[Column], progress: Progress = silent
) -> FilePredictions:
    """Predict cases, in batches of whole ones; one of which a file is missing or can't be read has no row.

    Raises:
        ConfigError: the ensemble answers images, or a column's template does not fit it.
    """
    check_columns(ensemble, columns)
    predictions, names = FilePredictions([], [], [], unit="case"), list(cases.files)
    for case, lacking in cases.incomplete.items():
        if case in cases.files:
            predictions.unreadable.append(f"case {printable(case)} has no row: it lacks '{lacking}'")
    files = [(name, file) for name in names for file in cases.files[name]]
    numbers, done = np.repeat(np.arange(len(names)), [len(cases.files[name]) for name in names]), 0
    for rows in whole_cases(numbers):
        batch = [files[row] for row in rows.tolist()]
        images, incomplete = _decode(ensemble, batch, predictions.unreadable)
        kept = [
            row for row, (name, _) in enumerate(batch) if name not in incomplete and name not in cases.incomplete
        ]
        if kept:
            _add_rows(predictions, ensemble, columns, [(*batch[row], images[row]) for row in kept])
        done += len(batch)
        progress("Images", done, len(files))
    return predictions


def _decode(
    ensemble: Ensemble, batch: Sequence[tuple[str, ImageFile]], unreadable: list[str]
) -> tuple[dict[int, Decoded], set[str]]:
    """Return the images that can be read by their row, and the cases of the others, which it adds a line for."""
    images, incomplete = {}, set()
    for row, (name, file) in enumerate(batch):
        image = decode_file(file.path, ensemble.image_shape, ensemble.manifest.image_aspect)
        if isinstance(image, Decoded):
            images[row] = image
        else:
            incomplete.add(name)
            unreadable.append(f"{file.path}: {image}; so case {printable(name)} has no row")
    return images, incomplete


def _add_rows(
    predictions: FilePredictions,
    ensemble: Ensemble,
    columns: Sequence[Column],
    batch: Sequence[tuple[str, ImageFile, Decoded]],
) -> None:
    """Add the rows of whole cases, whose images are (case, file, image)."""
    pixels = np.stack([image.pixels for _, _, image in batch])
    unlike = np.zeros(len(batch), dtype=bool) if ensemble.ood is None else ensemble.ood.flags(pixels)
    answers = answer_with_weights(ensemble, pixels, _numbers([name for name, _, _ in batch]))
    predictions.images += len(batch)
    predictions.out_of_distribution.extend(batch[row][1].path for row in np.flatnonzero(unlike).tolist())
    for case, values in enumerate(answer_values(answers.cases, class_numbers(ensemble.manifest))):
        cells = values | _case_values(answers, case, batch, unlike)
        predictions.rows.append([column.cell(cells) for column in columns])


def _numbers(names: Sequence[str]) -> Array:
    """Return numbers for names, as one may be a word that means that a value is missing."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])


def _case_values(
    answers: CaseAnswers, case: int, batch: Sequence[tuple[str, ImageFile, Decoded]], unlike: Array
) -> dict[str, Any]:
    rows, most = np.flatnonzero(answers.index == case).tolist(), int(answers.weighed_most[case])
    notes = dict.fromkeys(note for row in rows for note in batch[row][2].notes)
    return {
        "case": batch[most][0],
        "images": len(rows),
        "weighed_most": str(batch[most][1].path),
        "weight": float(answers.weights[most]),
        "flags": " ".join([OUT_OF_DISTRIBUTION] * bool(unlike[rows].any()) + list(notes)),
    }
