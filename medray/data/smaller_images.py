"""A data set's images at the smaller sizes that trainings use: made once, cached by content, shared."""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from medray._types import Progress, silent
from medray.data.cache import array_cache
from medray.data.dataset import ImageDataset
from medray.data.fitted_images import Converted, fit_images
from medray.data.kept_images import KeptImages
from medray.data.resampling import shrink, sized_shape

FORM = 1  # of what is cached; another one means other pixels


def keep_smaller(dataset: ImageDataset, image_sizes: Collection[int], progress: Progress = silent) -> ImageDataset:
    """Return the data set with its images at each of these sizes, their longer sides, that is smaller than its
    own.

    Where the cache has no room for all of them beside the data set's own, the rest is shrunk as it is read, which
    is slower and gives the same; `notes` say so.

    Raises:
        DataError: the cache can't be written.
    """
    kept, notes = dict(dataset.smaller), []
    room = array_cache.size_limit() - (dataset.images.nbytes if dataset.mapped is not None else 0)
    for image_size in sorted(set(image_sizes) - set(kept), reverse=True):
        shape = sized_shape(dataset.shape, image_size)
        if image_size >= max(dataset.shape[:2]):
            continue
        size = len(dataset) * int(np.prod(shape))
        if size > room:
            notes.append(
                f"images of {image_size} pixels are made anew for each epoch: {array_cache.LIMIT} is full"
            )
            continue
        room -= size

        def convert(position: int, size: tuple[int, int] = shape[:2]) -> Converted:
            return shrink(dataset.images[position], size), (), 0

        content = ["smaller", FORM, shape, _content(dataset)]
        message = f"Making images of {image_size} pixels"
        made = fit_images(content, shape, range(len(dataset)), convert, dataset.source, message, progress)
        kept[image_size] = KeptImages(made.array, str(made.path), dataset.source)
    return replace(dataset, smaller=kept, notes=(*dataset.notes, *notes))


def _content(dataset: ImageDataset) -> str:
    """Return what tells the data set's images from others: their key in the cache, or their SHA-256."""
    if dataset.mapped is not None:
        return Path(dataset.mapped).stem
    return hashlib.sha256(np.ascontiguousarray(dataset.images).data).hexdigest()
