"""Convert images to one shape on all cores, once: the array is cached by content and mapped from its file."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from medray._types import Array, Progress, Shape
from medray.data.cache import array_cache
from medray.data.cache.map_in_order import map_in_order

Item = TypeVar("Item")
#: Pixels uint8 (H, W, C), what was done to the image, and its grey levels if they are one or two, else 0.
Converted = tuple[Array, tuple[str, ...], int]


@dataclass(frozen=True)
class FittedImages:
    """Images uint8 (N, H, W, C) mapped from the file `path`.

    `done` counts the images by what was done to them. `broken` is why images can't be converted, by their index;
    their pixels are 0. `levels` are the grey levels of images of one or two, by their index.
    """

    array: Array
    path: Path
    done: Mapping[str, int]
    broken: Mapping[int, str]
    levels: Mapping[int, int]

    @property
    def notes(self) -> list[str]:
        """Notes on an array that is larger than the cache may be."""
        return array_cache.oversize_notes(self.array)


def fit_images(
    content: object,
    shape: Shape,
    items: Sequence[Item],
    convert: Callable[[Item], Converted | str],
    source: str,
    message: str,
    progress: Progress,
) -> FittedImages:
    """Convert each item to pixels of `shape`, or take the array from the cache.

    `content` is JSON that differs wherever the pixels would. `convert` returns the pixels and what was done, or
    why the item can't be converted.

    Raises:
        DataError: the cache can't be written.
    """
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def convert_all() -> None:
        with (
            array_cache.new_array(key, (len(items), *shape), source) as new,
            closing(map_in_order(convert, items)) as results,
        ):
            for i, result in enumerate(results):
                if isinstance(result, str):
                    new.facts.broken[i] = result
                else:
                    new.array[i], notes, levels = result
                    new.facts.done.update(notes)
                    if levels:
                        new.facts.levels[i] = levels
                progress(message, i + 1, len(items))

    cached = array_cache.find_or_make(key, convert_all, source)
    facts = cached.facts
    return FittedImages(cached.array, cached.path, facts.done, facts.broken, facts.levels)


def drop_images(images: FittedImages, left_out: Collection[int], source: str, progress: Progress) -> FittedImages:
    """Return the images without those at the indices `left_out`, copied from `images` into an array of their own.

    Raises:
        DataError: the cache can't be written.
    """
    height, width, channels = images.array.shape[1:]
    kept = [index for index in range(len(images.array)) if index not in left_out]
    content = [images.path.stem, kept]
    copied = fit_images(
        content, (height, width, channels), kept, lambda i: (images.array[i], (), 0), source, "Copying", progress
    )
    return replace(copied, done=images.done)
