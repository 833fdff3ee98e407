"""Small images of several labels, as arrays and as a file."""

from pathlib import Path

import numpy as np

from medray._types import Array

LABELS = ("corner", "middle", "stripe")
RATES = (0.3, 0.4, 0.2)


def label_set_arrays(count: int, seed: int = 0, unknown: float = 0.0) -> tuple[Array, Array]:
    """Return images uint8 (count, 12, 12, 1) with a bright mark for each label, and labels int64 (count, 3).

    A label is there or not whatever the others are; a share of the labels is unknown.
    """
    rng = np.random.default_rng(seed)
    labels = (rng.random((count, 3)) < RATES).astype(np.int64)
    images = rng.integers(0, 70, size=(count, 12, 12, 1), dtype=np.uint8)
    for image, (corner, middle, stripe) in zip(images, labels, strict=True):
        image[:4, :4] += 110 * np.uint8(corner)
        image[5:8, 4:8] += 110 * np.uint8(middle)
        image[9:11] += 110 * np.uint8(stripe)
    return images, np.where(rng.random(labels.shape) < unknown, -1, labels)


def write_label_set_npz(path: Path, *, train: int = 240, other: int = 90, unknown: float = 0.1) -> Path:
    """Write images of several labels in ChestMNIST's form; unknown labels are in train only."""
    arrays: dict[str, Array] = {"class_names": np.array(LABELS)}
    for seed, (split, count) in enumerate({"train": train, "val": other, "test": other}.items()):
        images, labels = label_set_arrays(count, seed, unknown if split == "train" else 0.0)
        arrays |= {f"{split}_images": images[..., 0], f"{split}_labels": labels}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path
