"""Families: images that belong on one side of any division: copies of one another, and those of one patient."""

from collections.abc import Sequence

import numpy as np

from medray._types import Array, Progress, silent
from medray.data.dataset import ImageDataset
from medray.data.similarity.duplicates import find_copies
from medray.data.similarity.measures import Measures, measure_images


def families(dataset: ImageDataset, progress: Progress = silent) -> Array:
    """The family of each image, int64 (n,): the number of its first image, in the order of the data set.

    Raises:
        DataError: millions of images look the same.
    """
    images = (dataset.original or dataset).images
    return with_patients(copy_families(images, progress), dataset.groups)


def copy_families(images: Array, progress: Progress = silent) -> Array:
    """The same by copies alone, of images uint8 (n, H, W, C)."""
    return measured_families(measure_images(images, progress))


def measured_families(measures: Measures) -> Array:
    """The same by copies alone, of what was measured."""
    copies = find_copies(measures)
    return _joined(len(measures), [_same(copies.content, copies.content >= 0), (copies.first, copies.second)])


def with_patients(copies: Array, patients: Array | None) -> Array:
    """Families by copies (n,), joined where they share one of the `patients` (n,)."""
    return copies if patients is None else _joined(len(copies), [_same(copies), _same(patients)])


def _same(values: Array, known: Array | None = None) -> tuple[Array, Array]:
    """Each image beside the first one of its value."""
    own = np.arange(len(values)) if known is None else np.flatnonzero(known)
    _, first, inverse = np.unique(values[own].astype(str), return_index=True, return_inverse=True)
    return own[first][inverse], own


def _joined(count: int, links: Sequence[tuple[Array, Array]]) -> Array:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first = np.concatenate([np.empty(0, np.int64), *(one for one, _ in links)])
    second = np.concatenate([np.empty(0, np.int64), *(other for _, other in links)])
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, place = np.unique(component, return_index=True)
    found: Array = place[component]
    return found
