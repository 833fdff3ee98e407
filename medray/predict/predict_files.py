"""Predict image files: decode each to the networks' image shape, and fill the columns of its row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.decoding import Decoded, decode_file
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.ensemble.ensemble import Ensemble
from medray.ensemble.label_set_prediction import LabelSetPrediction
from medray.ensemble.manifest import ensemble_folder
from medray.ensemble.prediction import Prediction
from medray.errors import ConfigError
from medray.evaluate.external.load_external import image_digest
from medray.predict.class_numbers import class_numbers
from medray.predict.find_images import ImageFile
from medray.predict.output_columns import Column, uses

BATCH_SIZE = 64  # images
SEPARATOR = "|"  # of the labels in a cell, as `?separator=|` reads them


@dataclass(frozen=True)
class FileAnswer:
    """A file's calibrated probabilities float32 (classes,), and the SHA-256 of its pixels as networks see them."""

    path: Path
    probabilities: Array
    digest: str


@dataclass
class FilePredictions:
    """The table of predictions: `rows` of cells in the order of the files that could be read.

    `unreadable` has one line for each other file, its path and the reason; `out_of_distribution` are the files
    whose image is unlike those that the networks were trained on. `answers` are those behind the rows. Rows of
    cases (`unit`) are of several images, of which there are `images` in all.
    """

    rows: list[list[str]]
    unreadable: list[str]
    out_of_distribution: list[Path]
    answers: list[FileAnswer] = field(default_factory=list)
    unit: str = "image"
    images: int = 0


def open_ensemble(location: str) -> Ensemble:
    """Load the ensemble of a run, or the one in a folder, onto a GPU where there is one.

    Raises:
        RunError: there is none, or it is damaged.
        WeightsError: a member's weights are.
    """
    import torch

    folder = ensemble_folder(location)
    return Ensemble.load(folder.location, "cuda" if torch.cuda.is_available() else "cpu")


def check_columns(ensemble: Ensemble, columns: Sequence[Column]) -> None:
    """Check that no column has the number of a class where there may be several labels.

    Raises:
        ConfigError: one has.
    """
    if ensemble.task.label_sets and uses(columns, "index"):
        raise ConfigError("a column has the field index: several labels have no number; valid: label, p, decision")


def predict_files(
    ensemble: Ensemble, files: Sequence[ImageFile], columns: Sequence[Column], progress: Progress = silent
) -> FilePredictions:
    """Predict the images in the files, in batches.

    Raises:
        ConfigError: a column's template does not fit the ensemble.
    """
    check_columns(ensemble, columns)
    predictions = FilePredictions([], [], [])
    numbers = class_numbers(ensemble.manifest)
    for start in range(0, len(files), BATCH_SIZE):
        batch = files[start : start + BATCH_SIZE]
        decoded = [decode_file(file.path, ensemble.image_shape, ensemble.manifest.image_aspect) for file in batch]
        images = []
        for file, image in zip(batch, decoded, strict=True):
            if isinstance(image, Decoded):
                images.append((file, image))
            else:
                predictions.unreadable.append(f"{file.path}: {image}")
        if images:
            predictions.images += len(images)
            pixels = np.stack([image.pixels for _, image in images])
            flags = np.zeros(len(images), dtype=bool) if ensemble.ood is None else ensemble.ood.flags(pixels)
            predictions.out_of_distribution.extend(images[row][0].path for row in np.flatnonzero(flags))
            prediction = ensemble.predict(pixels)
            for (file, image), answer in zip(images, prediction.probabilities, strict=True):
                predictions.answers.append(FileAnswer(file.path, answer, image_digest(image.pixels)))
            for values in _values(images, prediction, flags, numbers):
                predictions.rows.append([column.cell(values) for column in columns])
        progress("Images", start + len(batch), len(files))
    return predictions


def _values(
    images: Sequence[tuple[ImageFile, Decoded]], prediction: Prediction, flags: Array, numbers: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Yield what a column's template may name, for each image; `flags` bool (n,) is True out of distribution.

    `numbers` are those of the classes.
    """
    for (file, image), unlike, values in zip(images, flags, answer_values(prediction, numbers), strict=True):
        notes = " ".join([OUT_OF_DISTRIBUTION] * bool(unlike) + list(image.notes))
        yield {**file.fields(), **values, "flags": notes}


def answer_values(prediction: Prediction, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield what a column's template may name of each answer; `numbers` are those of the classes."""
    sets = prediction.answers() if prediction.conformal else None
    decided = (
        _decided_sets(prediction) if isinstance(prediction, LabelSetPrediction) else _decided(prediction, numbers)
    )
    for row, values in enumerate(decided):
        yield {
            **values,
            "p": dict(zip(prediction.class_names, map(float, prediction.probabilities[row]), strict=True)),
            "set": "" if sets is None else sets[row],
        }


def _decided(prediction: Prediction, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield each image's class and the first operating point's decision."""
    decisions = prediction.decide() if prediction.operating_points else None
    for row, label in enumerate(prediction.labels):
        decision = "" if decisions is None else int(decisions[row])
        yield {"label": prediction.class_names[label], "index": numbers[int(label)], "decision": decision}


def _decided_sets(prediction: LabelSetPrediction) -> Iterator[dict[str, Any]]:
    """Yield each image's labels in one cell that a table of labels may have, and the decision on each."""
    as_list = any(SEPARATOR in name for name in prediction.class_names)
    for row, names in zip(prediction.called, prediction.called_names, strict=True):
        yield {
            "label": str(names) if as_list and names else SEPARATOR.join(names),
            "decision": dict(zip(prediction.class_names, map(int, row), strict=True)),
        }
