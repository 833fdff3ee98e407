"""Convert images to one shape on all cores, once: the array is cached by content and mapped from its file."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from medray._types import Array, Progress, Shape
from medray.data.cache import arrays
from medray.data.cache.parallel import in_order

Item = TypeVar("Item")
Converted = tuple[Array, tuple[str, ...]]  # pixels uint8 (H, W, C), and what was done to the image


@dataclass(frozen=True)
class FittedImages:
    """Images uint8 (N, H, W, C) mapped from the file `path`.

    `done` counts the images by what was done to them. `broken` is why images can't be converted, by their index;
    their pixels are 0.
    """

    array: Array
    path: Path
    done: Mapping[str, int]
    broken: Mapping[int, str]

    @property
    def notes(self) -> list[str]:
        """Notes on an array that is larger than the cache may be."""
        return arrays.too_large(self.array)


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
        facts: dict[str, object] = {"source": source}
        broken: dict[int, str] = {}
        done: Counter[str] = Counter()
        with (
            arrays.new_array(key, (len(items), *shape), facts) as images,
            closing(in_order(convert, items)) as results,
        ):
            for i, result in enumerate(results):
                if isinstance(result, str):
                    broken[i] = result
                else:
                    images[i], notes = result
                    done.update(notes)
                progress(message, i + 1, len(items))
            facts |= {"broken": broken, "done": dict(done)}

    mapped, facts = arrays.find_or_make(key, convert_all, source)
    broken = {int(index): reason for index, reason in facts["broken"].items()}
    return FittedImages(mapped.array, mapped.path, facts["done"], broken)
