"""Folds: each image of the pool is held out once; stratified by class, and no patient on both sides.

The pool is the train and val splits together. The test split is in no fold.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from medray.data.dataset import Array, ImageDataset
from medray.errors import DataError, RunError

POOL = ("train", "val")
STRATIFIED, GROUPED, GIVEN = "stratified", "grouped", "given"


@dataclass(frozen=True)
class Fold:
    """Positions (n,) in the data set to train on, and those held out."""

    train: Array
    val: Array


@dataclass(frozen=True)
class Folds:
    """The folds of a cross-validation: `kind` is stratified, grouped (by patient) or given (by the data set)."""

    kind: str
    seed: int
    folds: tuple[Fold, ...]

    def __len__(self) -> int:
        return len(self.folds)

    @property
    def held_out(self) -> Array:
        """Positions of all images that some fold holds out, sorted."""
        return np.unique(np.concatenate([fold.val for fold in self.folds]))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a JSON file."""
        parts = [{"train": fold.train.tolist(), "val": fold.val.tolist()} for fold in self.folds]
        return {"kind": self.kind, "seed": self.seed, "folds": parts}

    @classmethod
    def from_dict(cls, values: dict[str, Any], name: str) -> "Folds":
        """Read what `to_dict` gave; `name` is what an error calls the file.

        Raises:
            RunError: it is damaged.
        """
        try:
            parts = [
                [np.array(part[side], dtype=np.int64) for side in ("train", "val")] for part in values["folds"]
            ]
            return cls(str(values["kind"]), int(values["seed"]), tuple(Fold(*part) for part in parts))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RunError(f"{name} is damaged: {error}") from None


def make_folds(dataset: ImageDataset, count: int | None, seed: int) -> Folds:
    """Divide the pool into `count` folds; those that the data set brings along are used as they are.

    Raises:
        DataError: there are fewer images, or patients, of a class than folds, a fold lacks a class, or the data
            set's own folds are others than `count`.
    """
    folds = _given(dataset, count) if dataset.folds is not None else _divided(dataset, count or 5, seed)
    for number, fold in enumerate(folds.folds):
        for side, positions in (("training", fold.train), ("held-out", fold.val)):
            present = np.unique(dataset.labels[positions])
            missing = [name for i, name in enumerate(dataset.class_names) if i not in present]
            if missing:
                raise DataError(
                    f"{dataset.source}: fold {number} has no {side} image of {', '.join(missing)}; "
                    + ("its folds are the data set's own" if folds.kind == GIVEN else "ask for fewer folds")
                )
    return folds


def _given(dataset: ImageDataset, count: int | None) -> Folds:
    assert dataset.folds is not None
    if count is not None and count != len(dataset.folds):
        raise DataError(f"{dataset.source}: has {len(dataset.folds)} folds of its own; leave --folds out")
    test = dataset.splits.get("test", np.empty(0, dtype=np.int64))
    pairs = (tuple(np.setdiff1d(part, test) for part in fold) for fold in dataset.folds)
    folds = tuple(Fold(train, val) for train, val in pairs)
    for number, fold in enumerate(folds):
        if dataset.groups is not None and _shared_groups(dataset.groups, fold):
            raise DataError(f"{dataset.source}: its fold {number} has images of one patient on both sides")
    return Folds(GIVEN, 0, folds)


def _divided(dataset: ImageDataset, count: int, seed: int) -> Folds:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    pool = np.sort(np.concatenate([dataset.splits[name] for name in POOL if name in dataset.splits]))
    if not len(pool):
        raise DataError(f"{dataset.source}: splits {' and '.join(POOL)} are empty: there is nothing to fold")
    if count < 2:
        raise DataError(f"{count} fold: at least two are needed")
    _check_enough(dataset, pool, count)
    labels = dataset.labels[pool]
    if dataset.groups is None:
        parts = StratifiedKFold(count, shuffle=True, random_state=seed).split(pool, labels)
        kind = STRATIFIED
    else:
        grouped = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        parts, kind = grouped.split(pool, labels, dataset.groups[pool]), GROUPED
    return Folds(kind, seed, tuple(Fold(pool[train], pool[val]) for train, val in parts))


def _check_enough(dataset: ImageDataset, pool: Array, count: int) -> None:
    """Each class needs an image, and where patients are known a patient, for each fold."""
    for index, name in enumerate(dataset.class_names):
        own = pool[dataset.labels[pool] == index]
        images, what = len(own), "images"
        if dataset.groups is not None:
            images, what = len(np.unique(dataset.groups[own])), "patients"
        if images < count:
            advice = f"ask for at most {images} folds" if images >= 2 else "it can't be folded"
            raise DataError(
                f"{dataset.source}: {count} folds, but class {name} has {images} {what} in "
                f"{' and '.join(POOL)}: {advice}"
            )


def _shared_groups(groups: Array, fold: Fold) -> bool:
    return bool(np.intersect1d(groups[fold.train], groups[fold.val]).size)
