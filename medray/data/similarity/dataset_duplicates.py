"""The duplicates of a data set, looked for once and kept on disk by the content of its images.

Its splits, the leak check of a search and its folds need the same ones, mostly in several processes. A file takes
some bytes an image; the ones used last are kept.
"""

import contextlib
import hashlib
import io
import os
import zipfile
import zlib
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.dataset import ImageDataset
from medray.data.similarity.duplicates import Duplicates, find_duplicates
from medray.data.similarity.measures import measure_all
from medray.errors import RunError
from medray.files import cache_folder, write_file

KIND = "duplicates"
FORM = 3  # of how images are measured and compared; another one means other duplicates
FILES_KEPT = 100


def dataset_duplicates(dataset: ImageDataset, progress: Progress = silent) -> Duplicates:
    """Return the duplicates among a data set's images, as they were before they were resized.

    Raises:
        DataError: millions of images look the same.
    """
    original = dataset.original or dataset
    return array_duplicates(original.images, original.mapped, progress)


def array_duplicates(images: Array, mapped: str | Path | None, progress: Progress = silent) -> Duplicates:
    """Return the duplicates among images uint8 (n, H, W, C), from disk where they were found before.

    The name of the cached file that images are `mapped` from is a hash of their content; others are hashed here.

    Raises:
        DataError: millions of images look the same.
    """
    if mapped:
        content = Path(mapped).stem
    else:
        pixels = np.ascontiguousarray(images)
        content = hashlib.sha256(repr(images.shape).encode() + hashlib.sha256(pixels.data).digest()).hexdigest()
    path = cache_folder(KIND) / f"{content}-{FORM}.npz"
    duplicates = _read(path, len(images))
    if duplicates is None:
        duplicates = find_duplicates(measure_all(images, progress))
        stream = io.BytesIO()
        np.savez_compressed(stream, **asdict(duplicates))
        with contextlib.suppress(RunError, OSError):  # it only saves time
            write_file(path, stream.getvalue())
            by_use = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
            for file in by_use[:-FILES_KEPT]:
                file.unlink(missing_ok=True)
    return duplicates


def _read(path: Path, count: int) -> Duplicates | None:
    """Read the duplicates among `count` images; None where there are none on disk, or damaged ones."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as columns:
            duplicates = Duplicates(**{field.name: columns[field.name] for field in fields(Duplicates)})
        os.utime(path)
        return duplicates if len(duplicates.content) == count else None
    except (OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None  # RuntimeError: a bit that says it is encrypted, or compressed in another way
