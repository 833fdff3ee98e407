"""The composition of a phantom: classes, patients, splits, batches of drawings, its source and its notes."""

from collections.abc import Callable

import numpy as np

from medray._types import Array
from medray.data.members import members_of
from medray.data.source import PHANTOM, Source

SPLIT_ENDS = {"train": 0.70, "val": 0.85, "test": 1.0}  # shares of the patients, one split after the other
BATCH = 32
DEALS = 200


def share_out(weights: Array, count: int, rng: np.random.Generator) -> Array:
    """Return `count` class numbers, in the proportions of `weights`, shuffled."""
    ends = np.round(np.cumsum(weights) / np.sum(weights) * count).astype(np.int64)
    return rng.permutation(np.repeat(np.arange(len(weights), dtype=np.int64), np.diff(ends, prepend=0)))


def draw_batches(draw: Callable[..., Array], size: int, rng: np.random.Generator, *columns: Array) -> Array:
    """Return the images that `draw(*columns, size, rng)` makes, in batches that fit into the processor's cache.

    The columns (n,) hold what differs between images; `draw` gets each as float32 (n, 1, 1). Every batch has a
    random generator, so what is drawn before the grain is the same at any size.
    """
    count = -(-len(columns[0]) // BATCH)
    batches = zip(rng.spawn(count), *(np.array_split(column, count) for column in columns), strict=True)
    return np.concatenate(
        [
            draw(*(part.astype(np.float32).reshape(-1, 1, 1) for part in parts), size, batch_rng)
            for batch_rng, *parts in batches
        ]
    )


def split_patients(groups: Array, labels: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Deal the patients out to the splits, and with them their images.

    Few images are dealt anew, up to `DEALS` times, until each split has each class. `labels` are (n,), or (n,
    classes) where an image may have several.
    """
    members = members_of(labels, labels.shape[1] if labels.ndim == 2 else labels.max() + 1)
    for _ in range(DEALS):
        patients = rng.permutation(np.unique(groups))
        ends = [round(end * len(patients)) for end in SPLIT_ENDS.values()]
        parts = np.split(patients, ends[:-1])
        splits = {
            name: np.flatnonzero(np.isin(groups, part)) for name, part in zip(SPLIT_ENDS, parts, strict=True)
        }
        if all(members[images].any(axis=0).all() for images in splits.values()):
            break
    return splits


def describe(name: str, **settings: tuple[int, int]) -> str:
    """Return the text of a phantom's source; `settings` are (value, default) pairs, named where they differ."""
    changed = {key: str(value) for key, (value, default) in settings.items() if value != default}
    return str(Source(PHANTOM, name, changed))


def no_match(real: str) -> tuple[str, ...]:
    """Return the notes of a phantom whose figures compare with none on `real`."""
    return (f"synthetic drawings, not medical images: no figure compares with {real}",)
