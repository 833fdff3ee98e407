"""From paths to rows: every image is decoded as the networks know it, and one that can't be read is named."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medray.data.decoding import Decoded, ImageError, decode
from medray.data.found_files import find_files
from medray.ensemble.manifest import MANIFEST
from medray.ensemble.model import Ensemble, Prediction
from medray.errors import DataError, RunError
from medray.predict.columns import Column
from medray.runs import RunDir
from medray.storage import Folder
from medray.telling import Progress

AT_ONCE = 64  # images


@dataclass(frozen=True)
class Predicted:
    """Rows of cells in the order of the images, and the files that could not be read, each with why."""

    rows: list[list[str]]
    unreadable: list[str]


def open_ensemble(location: str) -> Ensemble:
    """The ensemble of a run, or the one in a folder.

    Raises:
        RunError: there is none, or it is damaged.
        WeightsError: a member's weights are.
    """
    import torch

    for folder in (RunDir(location).ensemble, Folder(location)):
        if folder.exists(MANIFEST):
            return Ensemble.load(folder.location, "cuda" if torch.cuda.is_available() else "cpu")
    raise RunError(f"{location} is neither a run with an ensemble nor an ensemble: it has no {MANIFEST}")


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
            raise DataError(f"no such file or folder: {one}")
    return found


def predict_files(
    ensemble: Ensemble, paths: Sequence[Path], columns: Sequence[Column], told: Progress
) -> Predicted:
    """Ask the ensemble about every file.

    Raises:
        ConfigError: a column's template does not fit the ensemble.
    """
    rows: list[list[str]] = []
    unreadable: list[str] = []
    for start in range(0, len(paths), AT_ONCE):
        batch = paths[start : start + AT_ONCE]
        decoded = [_read(path, ensemble) for path in batch]
        whole = [(path, one) for path, one in zip(batch, decoded, strict=True) if isinstance(one, Decoded)]
        unreadable += [f"{path}: {why}" for path, why in zip(batch, decoded, strict=True) if isinstance(why, str)]
        if whole:
            prediction = ensemble.predict(np.stack([one.pixels for _, one in whole]))
            rows += [[column.cell(values) for column in columns] for values in _values(whole, prediction)]
        told("Images", start + len(batch), len(paths))
    return Predicted(rows, unreadable)


def _read(path: Path, ensemble: Ensemble) -> Decoded | str:
    try:
        return decode(path.read_bytes(), ensemble.image_shape, aspect=str(ensemble.manifest["image_aspect"]))
    except ImageError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)


def _values(whole: Sequence[tuple[Path, Decoded]], found: Prediction) -> Iterator[dict[str, Any]]:
    decisions = found.decide() if found.operating_points else None
    sets = found.answers() if found.conformal else None
    for row, (path, one) in enumerate(whole):
        yield {
            "path": os.fspath(path),
            "file": path.name,
            "stem": path.stem,
            "label": found.names[row],
            "index": int(found.labels[row]),
            "p": dict(zip(found.class_names, map(float, found.probabilities[row]), strict=True)),
            "decision": "" if decisions is None else int(decisions[row]),
            "set": "" if sets is None else sets[row],
            "flags": " ".join(one.notes),
        }
