"""Survey: what the images of a source are, each read once; Profile and Audit are made of it."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.data.listing.listing import SourceFacts
from medray.data.similarity.measures import Measures


@dataclass(frozen=True)
class Survey(SourceFacts):
    """The n images of a source: what it says of them, and what was measured.

    `names`, `labels`, `splits` and `patients` are of each image, as in ListedImage; `class_names` are all classes,
    those without an image too. `files` is whether the images are files of their own.
    """

    files: bool
    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    splits: tuple[str | None, ...]
    patients: tuple[str | None, ...]
    class_names: tuple[str, ...]
    measures: Measures

    def __len__(self) -> int:
        return len(self.names)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that the source names, in the order in which they come."""
        return tuple(name for name in dict.fromkeys(self.splits) if name is not None)

    def in_split(self, name: str | None) -> Array:
        """Which images are of a split, bool (n,)."""
        return np.array([own == name for own in self.splits], dtype=bool)

    def classes(self) -> Array:
        """The class of each image by its number in `class_names`, int64 (n,); -1 where it has not one label."""
        number = {name: place for place, name in enumerate(self.class_names)}
        return np.array([number[own[0]] if len(own) == 1 else -1 for own in self.labels], dtype=np.int64)
