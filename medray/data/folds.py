"""Folds: each image of the pool is held out once; stratified by class, no patient and no copy on both sides.

The pool is the train and val splits together. The test split is in no fold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.errors import DataError, RunError

POOL = ("train", "val")
KINDS = STRATIFIED, GROUPED, GIVEN = ("stratified", "grouped", "given")
COUNT = 5


@dataclass(frozen=True)
class Fold:
    """Positions (n,) in the data set to train on, and those held out."""

    train: Array
    val: Array


@dataclass(frozen=True)
class Folds:
    """The folds of a cross-validation: `kind` is stratified, grouped (by patient, copy) or given (by the data)."""

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
            kind, seed = values["kind"], values["seed"]
            folds = tuple(Fold(_positions(part["train"]), _positions(part["val"])) for part in values["folds"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RunError(f"{name} is damaged: {error!r}") from None
        if kind not in KINDS or type(seed) is not int or not folds:
            raise RunError(f"{name} is damaged: it says neither which kind of folds it holds, nor which folds")
        for number, fold in enumerate(folds):
            if np.intersect1d(fold.train, fold.val).size or not len(fold.train) or not len(fold.val):
                raise RunError(f"{name} is damaged: fold {number} holds out nothing, or what it trains on")
        return cls(kind, seed, folds)


def make_folds(
    dataset: ImageDataset, count: int | None, seed: int, families: Callable[[ImageDataset], Array] | None = None
) -> Folds:
    """Divide the pool into `count` folds, or 5; those that the data set brings along are used as they are.

    `families` gives each image's, as `medray.data.similarity.groups` does: images of one are held out together.

    Raises:
        DataError: there are fewer images, or patients, of a class than folds, a fold lacks a class, a patient
            is missing, the data set's own folds are others than `count`, or there is nothing to fold.
    """
    if dataset.folds is not None:
        folds = _given(dataset, count)
    else:
        folds = _divided(dataset, COUNT if count is None else count, seed, families)
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


def _positions(values: Any) -> Array:
    """Positions from JSON; numpy alone would cut 0.5 to 0 and read "1" as 1."""
    if type(values) is not list or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"{values!r:.40} is not a list of positions")
    return np.array(values, dtype=np.int64)


def _given(dataset: ImageDataset, count: int | None) -> Folds:
    if not dataset.folds:
        raise DataError(f"{dataset.source}: its own folds are none")
    if count is not None and count != len(dataset.folds):
        raise DataError(f"{dataset.source}: has {len(dataset.folds)} folds of its own; leave --folds out")
    test = dataset.splits.get("test", np.empty(0, dtype=np.int64))
    pairs = (tuple(np.setdiff1d(part, test) for part in fold) for fold in dataset.folds)
    folds = tuple(Fold(train, val) for train, val in pairs)
    for number, fold in enumerate(folds):
        if dataset.groups is not None and _shared_groups(dataset, dataset.groups, fold):
            raise DataError(f"{dataset.source}: its fold {number} has images of one patient on both sides")
    return Folds(GIVEN, 0, folds)


def _divided(
    dataset: ImageDataset, count: int, seed: int, families: Callable[[ImageDataset], Array] | None
) -> Folds:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    parts = [dataset.splits[name] for name in POOL if name in dataset.splits]
    pool = np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
    if not len(pool):
        raise DataError(f"{dataset.source}: splits {' and '.join(POOL)} are empty: there is nothing to fold")
    if count < 2:
        raise DataError(f"{count} fold: at least two are needed")
    groups = None if dataset.groups is None else _patients(dataset, dataset.groups[pool])
    _check_enough(dataset, pool, groups, "patients", count)
    if families is not None:
        related = families(dataset)[pool]
        if len(np.unique(related)) < (len(pool) if groups is None else len(np.unique(groups))):
            groups = related
            _check_enough(dataset, pool, groups, "images that are no copies of others", count)
    labels, state = dataset.labels[pool], _random_state(seed)
    if groups is None:
        pairs = StratifiedKFold(count, shuffle=True, random_state=state).split(pool, labels)
        kind = STRATIFIED
    else:
        grouped = StratifiedGroupKFold(count, shuffle=True, random_state=state)
        pairs, kind = grouped.split(pool, labels, groups), GROUPED
    return Folds(kind, seed, tuple(Fold(pool[train], pool[val]) for train, val in pairs))


def _random_state(seed: int) -> np.random.RandomState:
    """RandomState takes 32 bits at once; a larger seed is given to it in parts."""
    return np.random.RandomState(seed if seed < 2**32 else [seed % 2**32, seed // 2**32])


def _patients(dataset: ImageDataset, groups: Array) -> Array:
    """The patient of each image of the pool; two images whose patient is missing may be one patient's."""
    words = [str(group) for group in groups.tolist()]
    missing = sum(word.lower() in ("none", "nan", "") for word in words)
    if missing:
        raise DataError(
            f"{dataset.source}: {missing} of {len(words)} images in {' and '.join(POOL)} have no patient: give "
            "each its own, or leave groups out"
        )
    return np.array(words) if groups.dtype == object else groups


def _check_enough(dataset: ImageDataset, pool: Array, groups: Array | None, of: str, count: int) -> None:
    """Each class needs an image, and where there are groups `of` something one of these, for each fold."""
    for index, name in enumerate(dataset.class_names):
        own = dataset.labels[pool] == index
        images, what = int(own.sum()), "images"
        if groups is not None:
            images, what = len(np.unique(groups[own])), of
        if images < count:
            advice = f"ask for at most {images} folds" if images >= 2 else "it can't be folded"
            raise DataError(
                f"{dataset.source}: {count} folds, but class {name} has {images} {what} in "
                f"{' and '.join(POOL)}: {advice}"
            )


def _shared_groups(dataset: ImageDataset, groups: Array, fold: Fold) -> bool:
    patients = _patients(dataset, groups[np.concatenate([fold.train, fold.val])])
    return bool(np.intersect1d(patients[: len(fold.train)], patients[len(fold.train) :]).size)
