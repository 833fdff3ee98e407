"""Splits for images that come without: by class, no patient and no copy in two of them, always the same ones."""

import warnings
from collections.abc import Callable

import numpy as np

from medray._types import Array
from medray.data.listing.listing import TEST, TRAIN, VAL
from medray.errors import DataError
from medray.space.preparation import Shares

SEED = 0  # not the search's: the test split must stay the same one


def divide(
    said: list[str | None],
    labels: Array,
    groups: Array | None,
    shares: Shares,
    source: str,
    *,
    in_folds: bool = False,
    copies: Callable[[], Array] | None = None,
) -> tuple[dict[str, Array], list[str]]:
    """Positions of train, val and test, and notes of what was decided here; `said` is what the source says.

    `copies` gives the number (n,) that images share which are copies of one another; it is asked only where there
    is something to decide. Images `in_folds` may be in no split. What the source calls val or test stays that.
    Where it has no test at all, test is taken from the rest, and where it has no val, val is.

    Raises:
        DataError: the source says it of some images only, or a class has too few images to be divided.
    """
    known = {name: np.flatnonzero([own == name for own in said]) for name in (TRAIN, VAL, TEST)}
    unsaid = np.flatnonzero([own is None for own in said])
    notes: list[str] = []
    if in_folds and len(unsaid) < len(said):
        unsaid = unsaid[:0]
    elif len(unsaid) and len(unsaid) < len(said):
        raise DataError(f"{source}: {len(unsaid)} of {len(said)} images have no split: give each one, or none")
    rest = unsaid if len(unsaid) else known[TRAIN]
    total = len(rest)
    if not total:
        raise DataError(f"{source}: no image to train on")
    if all(len(known[name]) for name in (TEST, VAL)):
        return {**known, TRAIN: rest}, notes
    units, by = _units(rest, groups, copies)
    for name, share in ((TEST, shares.test), (VAL, shares.val)):
        if not len(known[name]):
            known[name], rest = _taken(rest, labels, units, share * total / len(rest), source, name)
            notes.append(f"{name}: {len(known[name])} images taken by {by}, as the source names none")
    known[TRAIN] = rest
    return known, notes


def _units(pool: Array, patients: Array | None, copies: Callable[[], Array] | None) -> tuple[Array | None, str]:
    """What stays together (n,), None where each image may go its own way; and that in words."""
    by = "class" if patients is None else "class and patient"
    if copies is None:
        return patients, by
    from medray.data.similarity.groups import with_patients

    families = with_patients(copies(), patients)
    if len(np.unique(families[pool])) == (len(pool) if patients is None else len(np.unique(patients[pool]))):
        return patients, by
    return families, f"{by}, copies together"


def _taken(
    pool: Array, labels: Array, groups: Array | None, share: float, source: str, name: str
) -> tuple[Array, Array]:
    """Take about `share` of the pool; give what was taken, and the rest."""
    counts = np.bincount(labels[pool])
    if (counts[counts > 0] < 2).any():
        raise DataError(
            f"{source}: a class has one image only, so {name} can't be taken from it; `labels: {{min_count: 5}}` "
            "leaves such classes out"
        )
    if groups is None:
        taken = _by_class(pool, labels, share)
    else:
        from sklearn.model_selection import StratifiedGroupKFold

        folds = StratifiedGroupKFold(max(2, round(1 / share)), shuffle=True, random_state=SEED)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a class that not every part will have
                _, chosen = next(iter(folds.split(pool, labels[pool], groups[pool])))
        except ValueError as error:
            raise DataError(f"{source}: {name} can't be taken: {error}") from None
        taken = pool[chosen]
    return np.sort(taken), np.setdiff1d(pool, taken)


def _by_class(pool: Array, labels: Array, share: float) -> Array:
    rng = np.random.default_rng(SEED)
    parts = []
    for label in np.unique(labels[pool]):
        own = rng.permutation(pool[labels[pool] == label])
        parts.append(own[: min(len(own) - 1, max(1, round(share * len(own))))])
    return np.concatenate(parts)
