"""From paths to rows: every image is decoded as the networks know it, and one that can't be read is named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array, Progress
from medray.data.decoding import Decoded, decode_file
from medray.data.listing.file_tree import find_files
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.ensemble.ensemble import Ensemble, Prediction
from medray.ensemble.manifest import ensemble_folder
from medray.errors import DataError, not_found_line
from medray.predict.output_columns import Column, named

AT_ONCE = 64  # images


@dataclass(frozen=True)
class Predicted:
    """Rows of cells in the order of the images, the files that could not be read, each with why, and which images
    are unlike those that the networks were trained on."""

    rows: list[list[str]]
    unreadable: list[str]
    novel: list[Path]


def open_ensemble(location: str) -> Ensemble:
    """The ensemble of a run, or the one in a folder.

    Raises:
        RunError: there is none, or it is damaged.
        WeightsError: a member's weights are.
    """
    import torch

    folder = ensemble_folder(location)
    return Ensemble.load(folder.location, "cuda" if torch.cuda.is_available() else "cpu")


def find_images(given: Sequence[str]) -> list[Path]:
    """The files given, and all images in the folders given.

    Raises:
        DataError: one is not there, or a folder holds no images.
    """
    found: list[Path] = []
    for one in map(Path, given):
        if one.is_dir():
            images = [one / name for name in find_files(one).images]
            if not images:
                raise DataError(f"{one} holds no images")
            found += images
        elif one.is_file():
            found.append(one)
        else:
            raise DataError(not_found_line("file or folder", one))
    return found


def predict_files(
    ensemble: Ensemble, paths: Sequence[Path], columns: Sequence[Column], told: Progress
) -> Predicted:
    """Ask the ensemble about every file.

    Raises:
        ConfigError: a column's template does not fit the ensemble.
    """
    aspect = ensemble.manifest.image_aspect
    rows: list[list[str]] = []
    unreadable: list[str] = []
    novel: list[Path] = []
    for start in range(0, len(paths), AT_ONCE):
        batch = paths[start : start + AT_ONCE]
        decoded = [decode_file(path, ensemble.image_shape, aspect) for path in batch]
        whole = [(path, one) for path, one in zip(batch, decoded, strict=True) if isinstance(one, Decoded)]
        unreadable += [f"{path}: {why}" for path, why in zip(batch, decoded, strict=True) if isinstance(why, str)]
        if whole:
            pixels = np.stack([one.pixels for _, one in whole])
            strange = _novel(ensemble, pixels)
            novel += [path for (path, _), yes in zip(whole, strange, strict=True) if yes]
            values = _values(whole, ensemble.predict(pixels), strange)
            rows += [[column.cell(one) for column in columns] for one in values]
        told("Images", start + len(batch), len(paths))
    return Predicted(rows, unreadable, novel)


def _novel(ensemble: Ensemble, pixels: Array) -> Array:
    """Whether each image is of another kind than the training's; none is where the ensemble can't tell."""
    return np.zeros(len(pixels), dtype=bool) if ensemble.ood is None else ensemble.ood.flags(pixels)


def _values(whole: Sequence[tuple[Path, Decoded]], found: Prediction, novel: Array) -> Iterator[dict[str, Any]]:
    decisions = found.decide() if found.operating_points else None
    sets = found.answers() if found.conformal else None
    for row, (path, one) in enumerate(whole):
        yield {
            **named(path),
            "label": found.names[row],
            "index": int(found.labels[row]),
            "p": dict(zip(found.class_names, map(float, found.probabilities[row]), strict=True)),
            "decision": "" if decisions is None else int(decisions[row]),
            "set": "" if sets is None else sets[row],
            "flags": " ".join([OUT_OF_DISTRIBUTION] * bool(novel[row]) + list(one.notes)),
        }
