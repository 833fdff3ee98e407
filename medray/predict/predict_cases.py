"""Predict files by case: those of a patient, an exam or a lesion together, as an ensemble of cases answers."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from medray._types import Array
from medray.data.decoding import Decoded, decode_file
from medray.ensemble.ensemble import Ensemble
from medray.errors import DataError, printable

BATCH_SIZE = 64  # images, and the rest of the last case


def predict_cases(ensemble: Ensemble, paths: Sequence[Path], numbers: Array) -> Array:
    """Return the answers to cases, float32 (cases, classes), in the order of their `numbers` int64 (n,) by file.

    Numbers follow the first file of each case.

    Raises:
        DataError: a file can't be read.
    """
    answers = []
    for rows in whole_cases(numbers):
        pixels = np.stack([_pixels(ensemble, paths[row]) for row in rows.tolist()])
        answers.append(ensemble.predict(pixels, numbers[rows]).probabilities)
    return np.concatenate(answers)


def whole_cases(numbers: Array) -> Iterator[Array]:
    """Yield the images of whole cases, int64 (m,), in the order of their `numbers` (n,): BATCH_SIZE or more."""
    order = np.argsort(numbers, kind="stable")
    first, start = np.flatnonzero(np.diff(numbers[order], prepend=-1)), 0
    for end in [*first[1:].tolist(), len(order)]:
        if end - start >= BATCH_SIZE or end == len(order):
            yield order[start:end]
            start = end


def _pixels(ensemble: Ensemble, path: Path) -> Array:
    image = decode_file(path, ensemble.image_shape, ensemble.manifest.image_aspect)
    if not isinstance(image, Decoded):
        raise DataError(f"{printable(str(path))}: {image}")
    return image.pixels
