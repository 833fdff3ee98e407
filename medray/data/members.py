"""Which images are of which class, for images of one class each and of several labels alike."""

import numpy as np

from medray._types import Array

UNKNOWN = -1  # a label that an image may have or not: it is neither trained on nor measured


def members_of(labels: Array, classes: int) -> Array:
    """Return whether each image is of each class, bool (n, classes).

    `labels` are int64 (n,), one class for each image, or (n, classes): 1 where an image has the label.
    """
    members: Array = labels == 1 if labels.ndim == 2 else labels[:, None] == np.arange(classes)
    return members


def label_counts(labels: Array) -> tuple[int, int, int]:
    """Return how many images have no label, one and several, by labels int64 (n, classes), without unknown ones.

    >>> label_counts(np.array([[0, 0], [1, UNKNOWN], [1, 1]]))
    (1, 1, 1)
    """
    having = (labels == 1).sum(axis=1)
    return int((having == 0).sum()), int((having == 1).sum()), int((having > 1).sum())


def strata_of(labels: Array) -> Array:
    """Return the classes that splits are to have in equal shares, bool (n, strata), each of one image or more.

    With several labels an image, those of none are a stratum too.
    """
    having = labels == 1
    strata: Array = (
        labels[:, None] == np.unique(labels)
        if labels.ndim == 1
        else np.column_stack([having, ~having.any(axis=1)])
    )
    return strata[:, strata.any(axis=0)]
