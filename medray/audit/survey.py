"""ImageRecords: what a source says of its images; Survey: that, and what was measured of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from medray._types import Array
from medray.data.listing.listing import SourceFacts
from medray.data.similarity.measures import Measures


@dataclass(frozen=True)
class ImageRecords(SourceFacts):
    """What a source says of each of its n images: `names`, `labels`, `splits` and `patients`, as in ListedImage.

    `class_names` are all classes, also those without an image. `cases` are those that a column makes, None for an
    image of no case; empty where nothing asks for cases.
    """

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    splits: tuple[str | None, ...]
    patients: tuple[str | None, ...]
    class_names: tuple[str, ...]
    cases: tuple[str | None, ...] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that the source names, in order of first appearance."""
        return tuple(name for name in dict.fromkeys(self.splits) if name is not None)

    def in_split(self, name: str) -> Array:
        """Return whether each image belongs to a split, bool (n,)."""
        return np.array([split == name for split in self.splits], dtype=bool)

    def classes(self) -> Array:
        """Return each image's class as an index into `class_names`, int64 (n,); -1 unless it has one label."""
        index = {name: position for position, name in enumerate(self.class_names)}
        return np.array([index[labels[0]] if len(labels) == 1 else -1 for labels in self.labels], dtype=np.int64)


@dataclass(frozen=True)
class Survey(ImageRecords):
    """The n images of a source, each read once; `from_files` says whether each is a file of its own.

    `paths` are those of the files, below the source's root. `columns` (n,) are a table's cells, by column, that
    say where, when or how an image was taken, and those of its subgroups.
    """

    measures: Measures
    from_files: bool
    paths: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
