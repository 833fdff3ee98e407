"""ImageDataset: labelled images of one size with their splits; LabelledImages: a slice of it.

The arrays are made read-only: the same memory is shared by every trial on a machine.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from medray._types import Array
from medray.errors import DataError, unknown_choice_line


@dataclass(frozen=True)
class LabelledImages:
    """A slice of a data set: `positions` (n,) into shared images and labels; nothing is copied.

    Takes `images` uint8 (N, H, W, C) and `labels` int64 (N,), which are those of the whole data set.
    """

    images: Array
    labels: Array
    positions: Array
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @cached_property
    def own_labels(self) -> Array:
        """The labels of this slice, int64 (n,)."""
        return self.labels[self.positions]

    def take(self, indices: Array) -> tuple[Array, Array]:
        """Return copies of the images (n, H, W, C) and labels (n,) at `indices` of this slice."""
        rows = self.positions[indices]
        return self.images[rows], self.labels[rows]

    def class_counts(self) -> Array:
        """Images of each class, int64 (classes,)."""
        return np.bincount(self.own_labels, minlength=len(self.class_names))


@dataclass(frozen=True)
class ImageDataset:
    """Labelled images of one size.

    `images` is uint8 (N, H, W, C) with 1 or 3 channels, `labels` int64 (N,) into `class_names`, `groups`
    (N,) the patient of each image where known, and `splits` maps train, val and test to positions, which no
    two splits share. `folds` are ready-made folds, each the positions to train on and those held out, and
    `subgroups` columns (N,) by which results are told apart, such as sex or scanner. `source`
    says where the images came from; `notes` what a person should know of that. `aspect` is how images of another
    size come to this one: stretch or pad. `mapped` is the .npy file that the images are mapped from: another
    process of this machine then maps it too, instead of being sent them. `original` is what ready-made arrays were
    before they were resized, in which copies are looked for; it stays in this process.

    Raises:
        DataError: an array has the wrong type or shape, or labels, groups, splits or folds do not fit the images.
    """

    images: Array
    labels: Array
    class_names: tuple[str, ...]
    splits: Mapping[str, Array]
    source: str
    groups: Array | None = None
    notes: tuple[str, ...] = field(default=())
    folds: tuple[tuple[Array, Array], ...] | None = None
    subgroups: Mapping[str, Array] = field(default_factory=dict)
    aspect: str = "stretch"
    mapped: str | None = None
    original: "ImageDataset | None" = None

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_splits()
        self._check_folds()
        columns = {"groups": self.groups, **{f"subgroup '{n}'": column for n, column in self.subgroups.items()}}
        for name, column in columns.items():
            if column is not None and column.shape != (len(self.images),):
                found = len(column) if column.ndim == 1 else f"{column.shape}"
                raise DataError(f"{self.source}: {found} {name} for {len(self.images)} images")
        # A view, so that the flag is ours alone: an array may be marked read-only by its view only.
        for name in ("images", "labels"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "original": None}
        if self.mapped is not None:
            del state["images"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.mapped is not None:
            try:
                images = np.asarray(np.load(self.mapped, mmap_mode="r", allow_pickle=False))
            except (OSError, ValueError) as error:
                raise DataError(f"{self.source}: its decoded images are gone: {error}") from None
            self.__dict__["images"] = images

    def whole(self) -> "ImageDataset":
        """The same, but sent with its images: to machines that do not see the file they are mapped from."""
        return replace(self, mapped=None)

    def _check_arrays(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(f"{self.source}: images are {images.dtype} {images.shape}, not uint8 (N, H, W, C)")
        if images.shape[3] not in (1, 3):
            raise DataError(f"{self.source}: images have {images.shape[3]} channels; 1 or 3 can be used")
        if not len(images):
            raise DataError(f"{self.source}: no images")
        if labels.dtype != np.int64 or labels.shape != (len(images),):
            raise DataError(
                f"{self.source}: labels are {labels.dtype} {labels.shape}, not int64 ({len(images)},): one "
                "class for each image"
            )
        if len(self.class_names) < 2:
            raise DataError(f"{self.source}: {len(self.class_names)} class; at least two are needed")
        if labels.min() < 0 or labels.max() >= len(self.class_names):
            raise DataError(
                f"{self.source}: labels run from {labels.min()} to {labels.max()}, but there are "
                f"{len(self.class_names)} classes, 0 to {len(self.class_names) - 1}"
            )

    def _check_positions(self, what: str, positions: Array) -> None:
        inside = positions.size == 0 or (positions.min() >= 0 and positions.max() < len(self.images))
        if positions.dtype != np.int64 or positions.ndim != 1 or not inside:
            raise DataError(f"{self.source}: {what} is not a list of positions of the images")

    def _check_folds(self) -> None:
        for number, (train, val) in enumerate(self.folds or ()):
            self._check_positions(f"fold {number}, training", train)
            self._check_positions(f"fold {number}, held out", val)
            if np.intersect1d(train, val).size:
                raise DataError(f"{self.source}: fold {number} holds out images that it trains on")

    def _check_splits(self) -> None:
        taken = np.zeros(len(self.images), dtype=bool)
        for name, positions in self.splits.items():
            self._check_positions(f"split '{name}'", positions)
            if taken[positions].any() or len(np.unique(positions)) < len(positions):
                raise DataError(f"{self.source}: split '{name}' holds an image twice, or another split's")
            taken[positions] = True

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    def split(self, name: str) -> LabelledImages:
        """Return a split.

        Raises:
            DataError: there is no such split, or it is empty.
        """
        if name not in self.splits:
            raise DataError(f"{self.source}: {unknown_choice_line('split', name, self.splits)}")
        if not len(self.splits[name]):
            raise DataError(f"{self.source}: split '{name}' is empty")
        return self.at(self.splits[name])

    def at(self, positions: Array) -> LabelledImages:
        """Return the slice at `positions` (n,)."""
        return LabelledImages(self.images, self.labels, positions, self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content: images, labels, class names, groups, splits, folds and subgroups."""
        digest = hashlib.sha256()
        digest.update(repr((self.images.shape, self.class_names)).encode())
        for array in (self.images, self.labels):
            digest.update(np.ascontiguousarray(array).data)
        if self.groups is not None:
            digest.update("\0".join(map(str, self.groups)).encode())
        for name in sorted(self.splits):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.splits[name]).data)
        for positions in (part for fold in self.folds or () for part in fold):
            digest.update(f"fold {len(positions)}".encode())  # where one ends and the next begins
            digest.update(np.ascontiguousarray(positions).data)
        for name in sorted(self.subgroups):
            digest.update("\0".join([name, *map(str, self.subgroups[name])]).encode())
        return digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        """What a run's data.json holds: source, fingerprint, shape, classes and their counts."""
        return {
            "source": self.source,
            "notes": list(self.notes),
            "fingerprint": self.fingerprint,
            "images": len(self),
            "shape": list(self.shape),
            "aspect": self.aspect,
            "class_names": list(self.class_names),
            "folds": None if self.folds is None else len(self.folds),
            "subgroups": sorted(self.subgroups),
            "patients": None if self.groups is None else len(np.unique(self.groups)),
            "splits": {
                name: {
                    "images": len(positions),
                    "classes": np.bincount(self.labels[positions], minlength=len(self.class_names)).tolist(),
                }
                for name, positions in self.splits.items()
            },
        }
