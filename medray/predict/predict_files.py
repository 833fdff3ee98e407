"""Predict image files: decode each to the networks' image shape, and fill the columns of its row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.decoding import Decoded, decode_file
from medray.data.listing.file_tree import find_files
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.ensemble.ensemble import Ensemble, Prediction
from medray.ensemble.manifest import ensemble_folder
from medray.errors import DataError, not_found_line
from medray.predict.output_columns import Column, path_fields

BATCH_SIZE = 64  # images


@dataclass(frozen=True)
class FilePredictions:
    """The table of predictions: `rows` of cells in the order of the files that could be read.

    `unreadable` has one line for each other file, its path and the reason; `out_of_distribution` are the files
    whose image is unlike those that the networks were trained on.
    """

    rows: list[list[str]]
    unreadable: list[str]
    out_of_distribution: list[Path]


def open_ensemble(location: str) -> Ensemble:
    """Load the ensemble of a run, or the one in a folder, onto a GPU where there is one.

    Raises:
        RunError: there is none, or it is damaged.
        WeightsError: a member's weights are.
    """
    import torch

    folder = ensemble_folder(location)
    return Ensemble.load(folder.location, "cuda" if torch.cuda.is_available() else "cpu")


def find_images(paths: Sequence[str]) -> list[Path]:
    """Return the files among `paths`, and all images in the folders among them.

    Raises:
        DataError: a path does not exist, or a folder holds no images.
    """
    images: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            names = find_files(path).images
            if not names:
                raise DataError(f"{path} holds no images")
            images += [path / name for name in names]
        elif path.is_file():
            images.append(path)
        else:
            raise DataError(not_found_line("file or folder", path))
    return images


def predict_files(
    ensemble: Ensemble, paths: Sequence[Path], columns: Sequence[Column], progress: Progress = silent
) -> FilePredictions:
    """Predict the images in the files, in batches.

    Raises:
        ConfigError: a column's template does not fit the ensemble.
    """
    predictions = FilePredictions([], [], [])
    for start in range(0, len(paths), BATCH_SIZE):
        batch = paths[start : start + BATCH_SIZE]
        decoded = [decode_file(path, ensemble.image_shape, ensemble.manifest.image_aspect) for path in batch]
        images = [(path, image) for path, image in zip(batch, decoded, strict=True) if isinstance(image, Decoded)]
        predictions.unreadable.extend(
            f"{path}: {reason}" for path, reason in zip(batch, decoded, strict=True) if isinstance(reason, str)
        )
        if images:
            pixels = np.stack([image.pixels for _, image in images])
            flags = np.zeros(len(images), dtype=bool) if ensemble.ood is None else ensemble.ood.flags(pixels)
            predictions.out_of_distribution.extend(images[row][0] for row in np.flatnonzero(flags))
            for values in _values(images, ensemble.predict(pixels), flags):
                predictions.rows.append([column.cell(values) for column in columns])
        progress("Images", start + len(batch), len(paths))
    return predictions


def _values(
    images: Sequence[tuple[Path, Decoded]], prediction: Prediction, flags: Array
) -> Iterator[dict[str, Any]]:
    """Yield what a column's template may name, for each image; `flags` bool (n,) is True out of distribution."""
    decisions = prediction.decide() if prediction.operating_points else None
    sets = prediction.answers() if prediction.conformal else None
    for row, (path, image) in enumerate(images):
        yield {
            **path_fields(path),
            "label": prediction.names[row],
            "index": int(prediction.labels[row]),
            "p": dict(zip(prediction.class_names, map(float, prediction.probabilities[row]), strict=True)),
            "decision": "" if decisions is None else int(decisions[row]),
            "set": "" if sets is None else sets[row],
            "flags": " ".join([OUT_OF_DISTRIBUTION] * bool(flags[row]) + list(image.notes)),
        }
