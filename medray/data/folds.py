"""Make the folds of a cross-validation: each image of the pool is held out once, the test split is in no fold.

The pool is the train and val splits together, without the calibration split. Folds are stratified by class, and
each patient, each case of several images and each group of duplicates is on one side of a fold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray._types import Array
from medray.data.dataset import Fold, ImageDataset
from medray.data.group_assignment import assign_groups
from medray.data.members import members_of
from medray.errors import DataError, RunError
from medray.stats.patients import is_missing

POOL = ("train", "val")
KINDS = STRATIFIED, GROUPED, GIVEN = ("stratified", "grouped", "given")
FOLD_COUNT = 5


@dataclass(frozen=True)
class Folds:
    """The folds of a cross-validation: stratified, grouped by patients or duplicates, or given by the data set."""

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
        """Return plain values for a JSON file."""
        folds = [{"train": fold.train.tolist(), "val": fold.val.tolist()} for fold in self.folds]
        return {"kind": self.kind, "seed": self.seed, "folds": folds}

    @classmethod
    def from_dict(cls, values: dict[str, Any], name: str) -> "Folds":
        """Read the values of `to_dict`; `name` is the file's name in an error.

        Raises:
            RunError: the values are damaged.
        """
        try:
            folds = tuple(
                Fold(_read_positions(fold["train"]), _read_positions(fold["val"])) for fold in values["folds"]
            )
            kind, seed = values["kind"], values["seed"]
            if kind not in KINDS or type(seed) is not int or not folds:
                raise ValueError(f"kind {kind!r:.40}, seed {seed!r:.40}, {len(folds)} folds")
            for number, (train, val) in enumerate(folds):
                if np.intersect1d(train, val).size or not len(train) or not len(val):
                    raise ValueError(f"fold {number} holds out nothing, or what it trains on")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RunError(f"{name} is damaged: {error}") from None
        return cls(kind, seed, folds)


def _read_positions(values: Any) -> Array:
    """Return positions from JSON; numpy alone would cut 0.5 to 0 and read "1" as 1."""
    if type(values) is not list or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"{values!r:.40} is not a list of positions")
    return np.array(values, dtype=np.int64)


def make_folds(
    dataset: ImageDataset,
    count: int | None,
    seed: int,
    related_groups: Callable[[ImageDataset], Array] | None = None,
) -> Folds:
    """Return the data set's own folds, or else divide its pool into `count` folds, 5 if None.

    `related_groups` returns the group (n,) of each image, as `medray.data.similarity.groups` does: the images of a
    group are held out together.

    Raises:
        DataError: a class has fewer images, or patients, than there are folds, a fold lacks a class, a patient is
            missing, the data set has not `count` folds of its own, or there is nothing to fold.
    """
    if dataset.folds is not None:
        folds = given_folds(dataset, count)
        advice = "its folds are the data set's own"
    else:
        folds = divide_pool(dataset, FOLD_COUNT if count is None else count, seed, related_groups)
        advice = "ask for fewer folds"
    for number, fold in enumerate(folds.folds):
        sides = (
            ("training", dataset.labels[fold.train]),
            ("held-out", dataset.at(fold.val).answered_labels),
        )
        for side, labels in sides[:1] if dataset.has_label_sets else sides:  # measured on the labels it holds
            counts = members_of(labels, len(dataset.class_names)).sum(axis=0).tolist()
            missing = [name for name, count in zip(dataset.class_names, counts, strict=True) if not count]
            if missing:
                raise DataError(
                    f"{dataset.source}: fold {number} has no {side} image of {', '.join(missing)}; {advice}"
                )
    return folds


def given_folds(dataset: ImageDataset, count: int | None) -> Folds:
    """Return the data set's own folds, without the images of its test and calibration splits.

    Raises:
        DataError: there are none, or not `count` unless that is None, or a patient is on both sides of a fold.
    """
    if not dataset.folds:
        raise DataError(f"{dataset.source}: its own folds are none")
    if count is not None and count != len(dataset.folds):
        raise DataError(f"{dataset.source}: has {len(dataset.folds)} folds of its own; leave --folds out")
    kept_aside = [positions for name, positions in dataset.splits.items() if name not in POOL]
    aside = np.concatenate([*kept_aside, np.empty(0, dtype=np.int64)])
    folds = tuple(Fold(np.setdiff1d(train, aside), np.setdiff1d(val, aside)) for train, val in dataset.folds)
    for number, (train, val) in enumerate(folds):
        patients = _read_patients(dataset, np.concatenate([train, val]))
        if patients is not None and np.intersect1d(patients[: len(train)], patients[len(train) :]).size:
            unit = "patient" if dataset.groups is not None else "case"
            raise DataError(f"{dataset.source}: its fold {number} has images of one {unit} on both sides")
    return Folds(GIVEN, 0, folds)


def divide_pool(
    dataset: ImageDataset, count: int, seed: int, related_groups: Callable[[ImageDataset], Array] | None = None
) -> Folds:
    """Divide the pool into `count` folds, stratified by class; patients and groups as in `make_folds`.

    Raises:
        DataError: a class has fewer images, patients or groups than folds, a patient is missing, there are fewer
            than two folds, or the pool is empty.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    splits = [dataset.splits[name] for name in POOL if name in dataset.splits]
    pool = np.sort(np.concatenate(splits)) if splits else np.empty(0, dtype=np.int64)
    if not len(pool):
        raise DataError(f"{dataset.source}: splits {' and '.join(POOL)} are empty: there is nothing to fold")
    if count < 2:
        raise DataError(f"{count} fold: at least two are needed")
    groups = _read_patients(dataset, pool)
    unit = "images" if groups is None else "patients" if dataset.groups is not None else "cases"
    _check_counts(dataset, pool, groups, unit, count)
    if related_groups is not None:
        related = related_groups(dataset)[pool]
        if len(np.unique(related)) < (len(pool) if groups is None else len(np.unique(groups))):
            groups = related
            _check_counts(dataset, pool, groups, "images that are no duplicates of others", count)
    labels = dataset.at(pool).case_labels
    # RandomState takes at most 32 bits at once, or a list of such parts.
    state = np.random.RandomState(seed if seed < 2**32 else [seed % 2**32, seed // 2**32])
    if labels.ndim == 2:
        assigned = assign_groups(
            labels, np.arange(len(pool)) if groups is None else groups, np.full(count, 1 / count), seed
        )
        pairs = [(np.flatnonzero(assigned != fold), np.flatnonzero(assigned == fold)) for fold in range(count)]
    elif groups is None:
        pairs = StratifiedKFold(count, shuffle=True, random_state=state).split(pool, labels)
    else:
        pairs = StratifiedGroupKFold(count, shuffle=True, random_state=state).split(pool, labels, groups)
        pairs = pairs_with_each_class(list(pairs), labels, groups)
    kind = STRATIFIED if groups is None else GROUPED
    return Folds(kind, seed, tuple(Fold(pool[train], pool[val]) for train, val in pairs))


def pairs_with_each_class(pairs: list[Any], labels: Array, groups: Array) -> list[Any]:
    """Return the pairs of positions to train on and to hold out, others if one holds no image of a class out.

    scikit-learn deals out one group after another, and may leave a class out of a fold though it has groups enough
    (scikit-learn#24656); the search for splits over many assignments then does better. It depends on no seed.
    """
    if all(len(np.unique(labels[held_out])) == len(np.unique(labels)) for _, held_out in pairs):
        return pairs
    assigned = assign_groups(labels, groups, np.full(len(pairs), 1 / len(pairs)))
    return [(np.flatnonzero(assigned != fold), np.flatnonzero(assigned == fold)) for fold in range(len(pairs))]


def _read_patients(dataset: ImageDataset, positions: Array) -> Array | None:
    """Return the patients of the images at `positions` (n,), or their cases; None if there are neither.

    Raises:
        DataError: the patient of an image is missing: two such images may be of one patient.
    """
    if dataset.clusters is None:
        return None
    groups = dataset.clusters[positions]
    names = [str(group) for group in groups.tolist()]
    missing = sum(map(is_missing, names))
    if missing:
        raise DataError(
            f"{dataset.source}: {missing} of {len(names)} images in {' and '.join(POOL)} have no patient: give "
            "each its own, or leave groups out"
        )
    return np.array(names) if groups.dtype == object else groups


def _check_counts(dataset: ImageDataset, pool: Array, groups: Array | None, unit: str, count: int) -> None:
    """Check that each class has an image, and where there are groups a group, for each of `count` folds."""
    if dataset.has_label_sets:  # a fold is measured on the labels that it holds
        return
    members_by_class = members_of(dataset.at(pool).case_labels, len(dataset.class_names)).T
    for name, members in zip(dataset.class_names, members_by_class, strict=True):
        units = int(members.sum()) if groups is None else len(np.unique(groups[members]))
        if units < count:
            advice = f"ask for at most {units} folds" if units >= 2 else "it can't be folded"
            problem = f"{count} folds, but class {name} has {units} {unit} in {' and '.join(POOL)}: {advice}"
            raise DataError(problem, file=dataset.source)
