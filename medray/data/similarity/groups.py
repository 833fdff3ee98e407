"""Groups of images that belong on one side of any split: duplicates of one another, and images of one patient."""

from collections.abc import Sequence

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.dataset import ImageDataset
from medray.data.similarity.dataset_duplicates import dataset_duplicates
from medray.data.similarity.duplicates import Duplicates


def related_groups(dataset: ImageDataset, progress: Progress = silent) -> Array:
    """Return the group of each image, int64 (n,), numbered by the position of its first image.

    A group holds the images that duplicates, and patients or cases, connect, over any number of steps.

    Raises:
        DataError: millions of images look the same.
    """
    return merge_patients(duplicate_groups(dataset_duplicates(dataset, progress)), dataset.clusters)


def duplicate_groups(duplicates: Duplicates) -> Array:
    """Return the group of each image by duplicates alone, int64 (n,), numbered by its first image."""
    readable = np.flatnonzero(duplicates.content >= 0)
    identical = readable[_first_of_equal(duplicates.content[readable])], readable
    return _connect(len(duplicates.content), [identical, (duplicates.first, duplicates.second)])


def merge_patients(groups: Array, patients: Array | None) -> Array:
    """Merge the groups (n,) of duplicates that share one of the `patients` (n,)."""
    if patients is None:
        return groups
    images = np.arange(len(groups))
    return _connect(len(groups), [(_first_of_equal(column), images) for column in (groups, patients)])


def _first_of_equal(values: Array) -> Array:
    """Return for each value (n,) the index of the first one that is equal to it, int64 (n,)."""
    comparable = values.astype(str) if values.dtype == object else values
    _, first, inverse = np.unique(comparable, return_index=True, return_inverse=True)
    index: Array = first[inverse]
    return index


def _connect(count: int, links: Sequence[tuple[Array, Array]]) -> Array:
    """Return for each of `count` images the first one that links connect it with, int64 (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = (np.concatenate(ends) for ends in zip(*links, strict=True))
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    return _first_of_equal(connected_components(graph, directed=False)[1])
