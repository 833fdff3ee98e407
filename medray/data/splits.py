"""Make the train, val and test splits that a source does not name: the same ones on every call."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from medray._types import Array
from medray.data.listing.listing import SPLITS, TEST, TRAIN, VAL
from medray.data.similarity.groups import merge_patients
from medray.errors import DataError
from medray.space.preparation import Shares

SEED = 0  # not the search's: the test split must stay the same one


def make_splits(
    names: Sequence[str | None],
    labels: Array,
    patients: Array | None,
    shares: Shares,
    source: str,
    *,
    in_folds: bool = False,
    duplicate_groups: Callable[[], Array] | None = None,
) -> tuple[dict[str, Array], list[str]]:
    """Return the positions of train, val and test, and a note on each split that was drawn here.

    `names` are the splits as the source names them, None where it names none. An image of val or test stays there.
    If there is no test, it is drawn from all others, and if there is no val, it is drawn from what is left then:
    stratified by class, each patient and each group of duplicates in one split. `duplicate_groups` returns the
    group (n,) of each image by duplicates; it is called only if a split is drawn. With `in_folds`, images may be
    in no split.

    Raises:
        DataError: only some images have a split, none is left to train on, or a class has too few images.
    """
    splits = {split: np.flatnonzero([name == split for name in names]) for split in SPLITS}
    pool = np.flatnonzero([name is None for name in names])
    if 0 < len(pool) < len(names) and not in_folds:
        raise DataError(f"{source}: {len(pool)} of {len(names)} images have no split: give each one, or none")
    if len(pool) < len(names):
        pool = splits[TRAIN]
    total = len(pool)
    if not total:
        raise DataError(f"{source}: no image to train on")
    missing = {split: share for split, share in ((TEST, shares.test), (VAL, shares.val)) if not len(splits[split])}
    groups, basis = patients, "class" if patients is None else "class and patient"
    if missing and duplicate_groups is not None:
        related = merge_patients(duplicate_groups(), patients)
        if count_groups(related, pool) < count_groups(patients, pool):
            groups, basis = related, f"{basis}, duplicates together"
    notes = []
    for split, share in missing.items():
        try:
            splits[split] = draw(pool, labels, groups, share * total / len(pool))
        except DataError as error:
            raise DataError(f"{source}: {split} can't be drawn from its images: {error}") from None
        pool = np.setdiff1d(pool, splits[split])
        notes.append(f"{split}: {len(splits[split])} images drawn by {basis}, as the source names none")
    splits[TRAIN] = pool
    return splits, notes


def count_groups(groups: Array | None, pool: Array) -> int:
    """Return how many groups the images at the positions `pool` are of; without groups each is its own."""
    return len(pool) if groups is None else len(np.unique(groups[pool]))


def draw(pool: Array, labels: Array, groups: Array | None, share: float) -> Array:
    """Draw about `share` of the positions `pool`, stratified by class, whole groups only; sorted.

    Raises:
        DataError: a class has one image only, or there are too few groups.
    """
    counts = np.bincount(labels[pool])
    if (counts[counts > 0] < 2).any():
        raise DataError("a class has one image only; `labels: {min_count: 5}` leaves such classes out")
    if groups is None:
        rng = np.random.default_rng(SEED)
        classes = [rng.permutation(pool[labels[pool] == label]) for label in np.unique(labels[pool])]
        drawn = [images[: min(len(images) - 1, max(1, round(share * len(images))))] for images in classes]
        return np.sort(np.concatenate(drawn))
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(max(2, round(1 / share)), shuffle=True, random_state=SEED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a class that not every fold will have
            _, held_out = next(iter(folds.split(pool, labels[pool], groups[pool])))
    except ValueError as error:
        raise DataError(str(error)) from None
    return np.sort(pool[held_out])
