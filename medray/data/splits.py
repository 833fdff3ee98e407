"""Make the train, val and test splits that a source does not name: the same ones on every call."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from medray._types import Array
from medray.data.group_assignment import assign_groups
from medray.data.listing.listing import CALIBRATION, SPLITS, TEST, TRAIN, VAL
from medray.data.members import members_of
from medray.data.similarity.groups import merge_patients
from medray.errors import DataError
from medray.space.preparation import Shares
from medray.text import first_names, plural

IMAGE = ("image", "images")  # the groups of images that stay together, in messages
PATIENT = ("patient", "patients")
DUPLICATES = ("group of duplicates", "groups of duplicates")
CASE = ("case", "cases")
SMALL, LARGE = 0.5, 1.6  # times the share asked for; beyond them a note says so
MOST_NAMED = 8


def make_splits(
    names: Sequence[str | None],
    labels: Array,
    patients: Array | None,
    shares: Shares,
    source: str,
    *,
    class_names: Sequence[str],
    in_folds: bool = False,
    duplicate_groups: Callable[[], Array] | None = None,
    of: tuple[str, str] = PATIENT,
) -> tuple[dict[str, Array], list[str]]:
    """Return the positions of train, val and test, and notes on the splits that were drawn here.

    `names` are the splits as the source names them, None where it names none. An image of val, test or calibration
    stays there; a calibration split is returned only if the source names one.
    Those of val and test that the source does not name are drawn from all other images, by `shares` of them:
    stratified by class, each patient and each group of duplicates in one split; `patients` may be groups `of`
    something else, in messages. `duplicate_groups` returns the
    group (n,) of each image by duplicates; it is called only if a split is drawn. With `in_folds`, images may be
    in no split. Notes name each split that lacks a class, has far more or fewer images than asked for, or has more
    than half of its images from one patient.

    Raises:
        DataError: only some images have a split, none is left to train on, a class has fewer images than there are
            splits to make, or there are fewer patients.
    """
    splits = {split: np.flatnonzero([name == split for name in names]) for split in (*SPLITS, CALIBRATION)}
    if not len(splits[CALIBRATION]):
        del splits[CALIBRATION]  # drawn later, from train
    pool = np.flatnonzero([name is None for name in names])
    if 0 < len(pool) < len(names) and not in_folds:
        raise DataError(f"{source}: {len(pool)} of {len(names)} images have no split: give each one, or none")
    if len(pool) < len(names):
        pool = splits[TRAIN]
    if not len(pool):
        raise DataError(f"{source}: no image to train on")
    drawn = {split: share for split, share in ((VAL, shares.val), (TEST, shares.test)) if not len(splits[split])}
    if not drawn:
        return splits, []
    groups, basis, unit = patients, f"class and {of[0]}", of
    if groups is None:
        groups, basis, unit = np.arange(len(labels)), "class", IMAGE
    if duplicate_groups is not None:
        related = merge_patients(duplicate_groups(), patients)
        if len(np.unique(related[pool])) < len(np.unique(groups[pool])):
            groups, basis = related, f"{basis}, duplicates together"
            unit = (
                DUPLICATES
                if patients is None
                else (f"group of {of[1]} with duplicates", f"groups of {of[1]} with duplicates")
            )
    try:
        check_numbers(labels[pool], groups[pool], class_names, 1 + len(drawn), unit)
    except DataError as error:
        raise DataError(f"{source}: {' and '.join(drawn)} can't be drawn from its images: {error}") from None
    made = {TRAIN: 1 - sum(drawn.values()), **drawn}
    assigned = assign_groups(labels[pool], groups[pool], np.array(list(made.values())))
    splits |= {split: pool[assigned == index] for index, split in enumerate(made)}
    notes = [f"{split}: {len(splits[split])} images drawn by {basis}, as the source names none" for split in drawn]
    parts = {split: splits[split] for split in made}
    notes += note_classes(parts, labels, groups, class_names, unit)
    notes += note_shares({split: len(splits[split]) / len(pool) for split in drawn}, drawn, unit)
    if unit != IMAGE:
        notes += note_large_groups(parts, groups, unit)
    return splits, notes


def check_numbers(
    labels: Array, groups: Array, class_names: Sequence[str], splits: int, unit: tuple[str, str]
) -> None:
    """Check that each class of `labels` (n,) has an image for each of the `splits`, and that each gets a group.

    Raises:
        DataError: there are too few.
    """
    counts = members_of(labels, len(class_names)).sum(axis=0).tolist()
    few = [f"{name} ({count})" for name, count in zip(class_names, counts, strict=True) if 0 < count < splits]
    if few:
        raise DataError(
            f"too few images for {splits} splits of class {first_names(few, MOST_NAMED)}; `labels: {{min_count: "
            f"{splits}}}` leaves such classes out"
        )
    number = len(np.unique(groups))
    if number < splits:
        raise DataError(f"{plural(number, *unit)} can't be divided into {splits} splits")


def note_classes(
    parts: Mapping[str, Array], labels: Array, groups: Array, class_names: Sequence[str], unit: tuple[str, str]
) -> Iterator[str]:
    """Yield a note on each of the splits that has no image of a class which another one has."""
    members = members_of(labels, len(class_names))
    pool = np.concatenate(list(parts.values()))
    for split, positions in parts.items():
        absent = np.flatnonzero(members[pool].any(axis=0) & ~members[positions].any(axis=0))
        if len(absent):
            names = []
            for label in absent.tolist():
                count = len(np.unique(groups[pool][members[pool, label]]))
                names.append(f"{class_names[label]} ({plural(count, *unit)})")
            yield f"{split}: no image of {first_names(names, MOST_NAMED)}, as no {unit[0]} is in two splits"


def note_shares(shares: Mapping[str, float], asked: Mapping[str, float], unit: tuple[str, str]) -> Iterator[str]:
    """Yield a note on each split whose share is less than half, or more than 1.6 times, the one asked for."""
    for split, share in shares.items():
        if not SMALL * asked[split] <= share <= LARGE * asked[split]:
            reason = "each class is to be in each split" + ("" if unit == IMAGE else f", no {unit[0]} in two")
            yield f"{split}: {share:.1%} of the images, though {asked[split]:.1%} were asked for: {reason}"


def note_large_groups(parts: Mapping[str, Array], groups: Array, unit: tuple[str, str]) -> Iterator[str]:
    """Yield a note on each split more than half of whose images are of one group."""
    for split, positions in parts.items():
        largest = np.unique(groups[positions], return_counts=True)[1].max()
        if 2 * largest > len(positions):
            number = "all" if largest == len(positions) else largest
            yield f"{split}: {number} of its {len(positions)} images are of one {unit[0]}"
