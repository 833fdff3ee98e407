"""ImageDataset: labelled images of one size with their splits and folds; LabelledImages: a slice of it.

The arrays are read-only: every trial on a machine shares their memory.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from medray._types import Array
from medray.data.kept_images import KeptImages, map_images
from medray.data.members import UNKNOWN, members_of
from medray.data.resampling import ShrunkImages, sized
from medray.errors import DataError, unknown_choice_line
from medray.stats.case_rule import CaseRule
from medray.stats.cases import CaseIndex
from medray.stats.outputs import Outputs

SIDES = ("training", "held out")  # of a fold, in messages


class Fold(NamedTuple):
    """Positions (n,) int64 of the images to train on, and of those held out."""

    train: Array
    val: Array

    def renumbered(self, positions: Array) -> "Fold":
        """Return the fold among other images: `positions` (N,) are the new ones by the old, -1 if left out."""
        train, val = positions[self.train], positions[self.val]
        return Fold(train[train >= 0], val[val >= 0])


@dataclass(frozen=True)
class LabelledImages:
    """A slice of a data set: `positions` (n,) into its `images` uint8 (N, H, W, C) and `labels` int64 (N,).

    Where images have several labels, `labels` are (N, classes). Nothing is copied. `cases` are those of all images
    where a case of several has one answer, and `clusters` (N,) say which of these belong to one patient. `smaller`
    holds the images at smaller sizes, by their longer side, as far as they are kept.
    """

    images: Array
    labels: Array
    positions: Array
    class_names: tuple[str, ...]
    cases: CaseIndex | None = None
    clusters: Array | None = None
    smaller: Mapping[int, KeptImages] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    def sized(self, image_size: int | None) -> "LabelledImages":
        """Return the slice with images whose longer side is `image_size`, if theirs is larger.

        They are the kept ones, or shrunk each time that they are read: the same pixels. Images that would grow
        stay as they are, as does everything with None: a network enlarges by itself.
        """
        if image_size is None or image_size >= max(self.shape[:2]):
            return self
        if image_size in self.smaller:
            return replace(self, images=self.smaller[image_size].images, smaller={})
        shrunk: Any = ShrunkImages(self.images, sized(self.shape[:2], image_size))
        return replace(self, images=shrunk, smaller={})

    @cached_property
    def own_labels(self) -> Array:
        """The labels of this slice, int64 (n,) or (n, classes)."""
        return self.labels[self.positions]

    @cached_property
    def own_cases(self) -> CaseIndex | None:
        """The cases of this slice, None where each image is answered by itself."""
        return None if self.cases is None else self.cases.at(self.positions)

    @cached_property
    def answered_labels(self) -> Array:
        """The labels of what is answered, int64 (m,) or (m, classes): of the cases, or else of the images."""
        return self.own_labels if self.own_cases is None else self.own_cases.labels(self.own_labels)

    @cached_property
    def case_labels(self) -> Array:
        """The labels of this slice by case: each image has that of its case, int64 (n,) or (n, classes)."""
        return self.own_labels if self.own_cases is None else self.answered_labels[self.own_cases.index]

    def answers(self, outputs: Outputs) -> Array:
        """Return the answers (m, classes) to what is answered, cases or images, from a network's to the images."""
        if self.own_cases is None:
            return outputs.probabilities
        return self.own_cases.answers(outputs.probabilities, outputs.scores)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the images' shape, pixels and labels, the same in whatever order the images come."""
        digests = []
        for position in self.positions.tolist():
            digest = hashlib.sha256(np.ascontiguousarray(self.images[position]).data)
            digest.update(self.labels[position].astype(">i8").tobytes())
            digests.append(digest.digest())
        return hashlib.sha256(repr(self.shape).encode() + b"".join(sorted(digests))).hexdigest()

    @cached_property
    def content(self) -> str:
        """SHA-256 of the shape and pixels of all images, those of other slices too."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()

    def take(self, indices: Array) -> tuple[Array, Array]:
        """Return copies of the images (n, H, W, C) and labels (n, ..) at `indices` of this slice."""
        rows = self.positions[indices]
        return self.images[rows], self.labels[rows]

    def class_counts(self) -> Array:
        """Images of each class, int64 (classes,)."""
        counts: Array = members_of(self.own_labels, len(self.class_names)).sum(axis=0)
        return counts


@dataclass(frozen=True)
class ImageDataset:
    """Labelled images of one size.

    `images` is uint8 (N, H, W, C) with 1 or 3 channels, `labels` int64 (N,) into `class_names`, or (N, classes)
    where images have several: 1 for a label, 0 for none, `medray.data.members.UNKNOWN` for one that is not known;
    `groups` (N,) the patient of each image where known, and `splits` maps train, val and test to positions, which
    no two splits share. `folds` are ready-made folds, and `subgroups` columns (N,) such as sex or scanner, by
    which results are broken down. `source` is the text of the source that was loaded, `notes` what a person should
    know about it. `aspect` is how images of another size are fitted to this one. `mapped` is the .npy file that
    the images are mapped from: pickling sends its path instead of the images, for processes of the same machine.
    `original` is the data set before its arrays were resized, in which duplicates are looked for; it is not
    pickled. `cases` say which images have one answer together, None where each has its own. `smaller` holds the
    images at the smaller sizes that trainings use, by their longer side (`medray.data.smaller_images`).

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
    folds: tuple[Fold, ...] | None = None
    subgroups: Mapping[str, Array] = field(default_factory=dict)
    aspect: str = "stretch"
    mapped: str | None = None
    original: "ImageDataset | None" = None
    cases: CaseIndex | None = None
    smaller: Mapping[int, KeptImages] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_positions()
        columns = {"groups": self.groups, **{f"subgroup '{n}'": column for n, column in self.subgroups.items()}}
        for name, column in columns.items():
            if column is not None and column.shape != (len(self.images),):
                size = len(column) if column.ndim == 1 else f"{column.shape}"
                raise DataError(f"{self.source}: {size} {name} for {len(self.images)} images")
        self._make_read_only()

    def _make_read_only(self) -> None:
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
            self.__dict__["images"] = map_images(self.mapped, self.source)
        self._make_read_only()  # a pickle does not keep the flag

    def unmapped(self) -> "ImageDataset":
        """Return the data set pickled with its images, for machines without the file they are mapped from."""
        smaller = {size: replace(kept, mapped=None) for size, kept in self.smaller.items()}
        return replace(self, mapped=None, smaller=smaller)

    def _check_arrays(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DataError(f"{self.source}: images are {images.dtype} {images.shape}, not uint8 (N, H, W, C)")
        if images.shape[3] not in (1, 3):
            raise DataError(f"{self.source}: images have {images.shape[3]} channels; 1 or 3 can be used")
        if not len(images):
            raise DataError(f"{self.source}: no images")
        if self.has_label_sets:
            self._check_label_sets()
            return
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

    def _check_label_sets(self) -> None:
        """Check labels of which an image may have several."""
        labels, expected = self.labels, (len(self.images), len(self.class_names))
        if labels.dtype != np.int64 or labels.shape != expected:
            raise DataError(f"{self.source}: labels are {labels.dtype} {labels.shape}, not int64 {expected}")
        if labels.min() < UNKNOWN or labels.max() > 1:
            raise DataError(f"{self.source}: labels run from {labels.min()} to {labels.max()}, not from -1 to 1")

    def _check_positions(self) -> None:
        folds = enumerate(self.folds or ())
        sides = {f"fold {i}, {side}": part for i, fold in folds for side, part in zip(SIDES, fold, strict=True)}
        for name, positions in {
            **{f"split '{split}'": part for split, part in self.splits.items()},
            **sides,
        }.items():
            inside = positions.size == 0 or (positions.min() >= 0 and positions.max() < len(self.images))
            if positions.dtype != np.int64 or positions.ndim != 1 or not inside:
                raise DataError(f"{self.source}: {name} is not a list of positions of the images")
        used = np.zeros(len(self.images), dtype=bool)
        for split, positions in self.splits.items():
            if used[positions].any() or len(np.unique(positions)) < len(positions):
                raise DataError(f"{self.source}: split '{split}' holds an image twice, or another split's")
            used[positions] = True
        for number, (train, val) in enumerate(self.folds or ()):
            if np.intersect1d(train, val).size:
                raise DataError(f"{self.source}: fold {number} holds out images that it trains on")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def has_label_sets(self) -> bool:
        """Whether an image may have several labels, or none."""
        return self.labels.ndim == 2

    @property
    def case_rule(self) -> CaseRule | None:
        """How images become cases, None where each image is answered by itself."""
        return None if self.cases is None else self.cases.rule

    @property
    def clusters(self) -> Array | None:
        """Which images belong together (N,): of a patient, or of a case where patients are unknown, or None."""
        return self.groups if self.groups is not None or self.cases is None else self.cases.numbers

    def answered_groups(self, positions: Array) -> Array | None:
        """Return the patients (m,) of the cases of the images at `positions` (n,), or else of the images.

        None where patients are unknown.
        """
        if self.groups is None:
            return None
        groups = self.groups[positions]
        return groups if self.cases is None else groups[self.cases.at(positions).first]

    @cached_property
    def label_names(self) -> tuple[tuple[str, ...], ...]:
        """The names of each image's labels."""
        if not self.has_label_sets:
            return tuple((self.class_names[label],) for label in self.labels.tolist())
        return tuple(tuple(self.class_names[i] for i in np.flatnonzero(row == 1)) for row in self.labels)

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
        return LabelledImages(
            self.images, self.labels, positions, self.class_names, self.cases, self.clusters, self.smaller
        )

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
