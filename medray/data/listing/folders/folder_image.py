"""What the folders that an image lies in say of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from medray.data.listing.folder_names import fold_number, folder_split, tidy
from medray.errors import printable

#: What a folder above the class's may be; a wrapper is the only folder of its parent, and says nothing.
#: Folders of folds hold those of splits; one that is held out holds classes, and a test split may lie beside it.
SPLIT, FOLD, HELD_OUT = "split", "fold", "held out"
SUBGROUP, PATIENT, WRAPPER = "subgroup", "patient", "wrapper"


@dataclass(frozen=True)
class FolderImage:
    """An image by its `path` below the root: its class, its split and the fold folder, if there are any.

    `below` is the rest of the path, below the class's folder. `subgroups` are the folders above the class that are
    neither splits nor folds, from the outermost on. `held_out` is the fold folder if it holds classes, not splits.
    """

    path: str
    label: str
    split: str | None
    fold: str | None
    below: tuple[str, ...]
    patient: str | None = None
    subgroups: tuple[str, ...] = ()
    held_out: str | None = None

    @classmethod
    def from_path(cls, path: str, levels: Sequence[str]) -> Self:
        """Read a path that has folders of these `levels` above the class's, such as a fold's and a split's."""
        parts = path.split("/")
        depth = len(levels)
        above = list(zip(levels, parts[:depth], strict=True))
        first = dict(reversed(above))
        part = first.get(HELD_OUT)
        held_out = part if part and fold_number(part) is not None else None
        split = first.get(SPLIT, part if held_out is None else None)
        return cls(
            path,
            printable(tidy(parts[depth])),
            folder_split(split) if split else None,
            first.get(FOLD),
            tuple(parts[depth + 1 :]),
            printable(tidy(first[PATIENT])) if PATIENT in first else None,
            tuple(printable(tidy(folder)) for level, folder in above if level == SUBGROUP),
            held_out,
        )

    @property
    def fold_order(self) -> int:
        """The number of the fold folder; 0 where there are none."""
        return fold_number(self.fold or self.held_out or "") or 0
