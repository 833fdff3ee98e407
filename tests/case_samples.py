"""Images of which several make one case: each shows the case's class only faintly, all of them together clearly."""

from pathlib import Path

import numpy as np

from medray._types import Array


def case_arrays(cases: int, images: int, *, classes: int = 2, seed: int = 0) -> tuple[Array, Array, Array]:
    """Return images uint8 (n, 12, 12, 1), their labels int64 (n,) and the case of each (n,).

    The right half is brighter the higher the class, by less than images of one class differ.
    """
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(cases), images)
    labels = (np.arange(cases) % classes)[numbers]
    pixels = rng.normal(90, 25, size=(len(numbers), 12, 12, 1))
    shift = 25 * (labels - (classes - 1) / 2) + rng.normal(0, 22, size=len(labels))
    pixels[:, :, 6:] += shift[:, None, None, None]
    order = rng.permutation(len(labels))
    return pixels.clip(0, 255).astype(np.uint8)[order], labels[order], numbers[order]


def write_case_npz(path: Path, *, train: int, val: int, test: int, images: int = 3, classes: int = 2) -> Path:
    """Write a data set of so many patients a split, of which there are so many images each."""
    arrays, first = {}, 0
    for seed, (split, cases) in enumerate({"train": train, "val": val, "test": test}.items()):
        pixels, labels, numbers = case_arrays(cases, images, classes=classes, seed=seed)
        arrays |= {f"{split}_images": pixels, f"{split}_labels": labels, f"{split}_groups": numbers + first}
        first += cases
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path
