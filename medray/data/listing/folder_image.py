"""What the folders that an image lies in say of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from medray.data.listing.folder_names import fold_number, folder_split, tidy
from medray.errors import printable

#: What a folder above the class's may be; a wrapper is the only folder of its parent, and says nothing.
SPLIT, FOLD, SUBGROUP, PATIENT, WRAPPER = "split", "fold", "subgroup", "patient", "wrapper"


@dataclass(frozen=True)
class FolderImage:
    """An image by its `path` below the root: its class, its split and the fold folder, if there are any.

    `below` is the rest of the path, below the class's folder. `subgroups` are the folders above the class that are
    neither splits nor folds, from the outermost on.
    """

    path: str
    label: str
    split: str | None
    fold: str | None
    below: tuple[str, ...]
    patient: str | None = None
    subgroups: tuple[str, ...] = ()

    @classmethod
    def from_path(cls, path: str, levels: Sequence[str]) -> Self:
        """Read a path that has folders of these `levels` above the class's, such as a fold's and a split's."""
        parts = path.split("/")
        depth = len(levels)
        above = list(zip(levels, parts[:depth], strict=True))
        first = dict(reversed(above))
        return cls(
            path,
            printable(tidy(parts[depth])),
            folder_split(first[SPLIT]) if SPLIT in first else None,
            first.get(FOLD),
            tuple(parts[depth + 1 :]),
            printable(tidy(first[PATIENT])) if PATIENT in first else None,
            tuple(printable(tidy(folder)) for level, folder in above if level == SUBGROUP),
        )

    @property
    def fold_order(self) -> int:
        """The number of the fold folder; 0 where there are none."""
        return 0 if self.fold is None else fold_number(self.fold) or 0
