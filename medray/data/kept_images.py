"""KeptImages: an array of images in a file, which is mapped and pickled as a path."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from medray._types import Array
from medray.errors import DataError


@dataclass(frozen=True)
class KeptImages:
    """Images uint8 (N, h, w, C) of the data set `source`, read-only.

    `mapped` is the .npy file that they are mapped from: pickling sends its path instead of the images, for
    processes of the same machine; None sends the images.
    """

    images: Array
    mapped: str | None
    source: str

    def __post_init__(self) -> None:
        view = self.images.view()
        view.flags.writeable = False
        object.__setattr__(self, "images", view)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "images": self.images if self.mapped is None else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        images = state["images"] if state["mapped"] is None else map_images(state["mapped"], state["source"])
        self.__dict__.update({**state, "images": images})
        self.__post_init__()  # a pickle does not keep the flag


def map_images(path: str, source: str) -> Array:
    """Return the images in a .npy file, mapped.

    Raises:
        DataError: they are gone from the cache.
    """
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: its decoded images are gone: {error}") from None
