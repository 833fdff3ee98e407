"""Small images of ordered grades, as arrays and as a file."""

from pathlib import Path

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset


def graded_arrays(count: int, grades: int, seed: int = 0, mistaken: float = 0.0) -> tuple[Array, Array]:
    """Return images uint8 (count, 12, 12, 1) whose bright area grows with the grade, and labels int64 (count,).

    A share of the labels is wrong by a grade.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % grades
    images = rng.integers(0, 60, size=(count, 12, 12, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[: 2 + 10 * int(label) // (grades - 1)] += 120
    moved = np.clip(labels + rng.choice([-1, 1], count), 0, grades - 1)
    return images, np.where(rng.random(count) < mistaken, moved, labels)


def graded(count: int = 96, grades: int = 4, seed: int = 0) -> ImageDataset:
    """Return an easy set of grades, half of it training images, a quarter validation, a quarter test."""
    images, labels = graded_arrays(count, grades, seed)
    parts = np.split(np.arange(count), [count // 2, 3 * count // 4])
    splits = dict(zip(("train", "val", "test"), parts, strict=True))
    return ImageDataset(images, labels, tuple(map(str, range(grades))), splits, "grades")


def write_graded_npz(
    path: Path, *, grades: int = 4, train: int = 120, other: int = 60, mistaken: float = 0.1
) -> Path:
    """Write grades in MedMNIST's form."""
    arrays = {}
    for seed, (split, count) in enumerate({"train": train, "val": other, "test": other}.items()):
        images, labels = graded_arrays(count, grades, seed, mistaken)
        arrays |= {f"{split}_images": images[..., 0], f"{split}_labels": labels[:, None]}
    np.savez(path, **arrays)
    return path
