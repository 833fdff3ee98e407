"""Keep a calibration split aside: images that neither train nor select any network.

Temperature, thresholds and conformal sets that are set on it are promises about the very ensemble that answers.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.dataset import ImageDataset
from medray.data.group_assignment import assign_groups
from medray.data.listing.listing import CALIBRATION, TRAIN
from medray.data.members import members_of
from medray.data.similarity.groups import related_groups

CASES = 20  # of each class: from 19 on, a sensitivity of 0.95 can be promised
LEAST, MOST = 0.15, 0.25  # shares of the training images


def with_calibration(dataset: ImageDataset, share: float | None, progress: Progress = silent) -> ImageDataset:
    """Return the data set with a split `calibration` of about `share` of its training images.

    It is stratified by class; a patient, a case and a group of duplicates stay on one side; it is the same on
    every call. With None the share is between 0.15 and 0.25, as much as gives each class `CASES` images or cases,
    or patients where they are known, and there is no such split where 0.25 is not enough. Nor is there with 0. A
    split that the data set brings is kept.

    Raises:
        DataError: millions of images look the same, so that duplicates can't be looked for.
    """
    if CALIBRATION in dataset.splits or share == 0 or TRAIN not in dataset.splits:
        return dataset
    train = dataset.splits[TRAIN]
    if share is None:
        images, groups = dataset.at(train), dataset.answered_groups(train)
        labels = images.answered_labels
        units = np.arange(len(labels)) if groups is None else groups.astype(str)
        share = calibration_share(labels, units, len(dataset.class_names))
        if share == 0:
            return dataset
    related = related_groups(dataset, progress)
    assigned = assign_groups(dataset.at(train).case_labels, related[train], np.array([1 - share, share]))
    drawn = train[assigned == 1]
    splits: Mapping[str, Array] = {
        **dataset.splits, TRAIN: np.setdiff1d(train, drawn), CALIBRATION: drawn
    }  # fmt: skip
    note = (
        f"calibration: {len(drawn)} of {len(train)} training images are kept aside to set thresholds, temperature "
        "and sets on; `splits: {calibration: 0}` trains on them instead"
    )
    return replace(dataset, splits=splits, notes=(*dataset.notes, note))


def calibration_share(labels: Array, units: Array, classes: int) -> float:
    """Return the share of the training images to keep aside by default, 0 for none.

    `labels` are (n,) or (n, classes) of `classes` classes, `units` (n,) the image or the patient that each is of.
    The share gives each class `CASES` units, so that a sensitivity of 0.95 can be promised for it.
    """
    counts = [len(np.unique(units[of_class])) for of_class in members_of(labels, classes).T]
    if labels.ndim == 2:  # a rare label of several has no promise, and the others keep theirs
        counts = [count for count in counts if count >= (CASES + 0.5) / MOST]
    share = max(LEAST, (CASES + 0.5) / max(1, min(counts, default=0)))
    return share if share <= MOST else 0.0
