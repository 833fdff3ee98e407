"""What the folders that an image lies in say of it."""

from dataclasses import dataclass, replace
from pathlib import Path

from medray.data.listing.folder_names import fold_number, split_named, tidy
from medray.errors import DataError, printable


@dataclass(frozen=True)
class FolderImage:
    """An image by its `path` below the root: its class, its split and the fold folder, if there are any.

    `below` is the rest of the path, below the class's folder.
    """

    path: str
    label: str
    split: str | None
    fold: str | None
    below: tuple[str, ...]
    patient: str | None = None

    @classmethod
    def from_path(cls, path: str, depth: int) -> "FolderImage":
        """Read a path that has `depth` folders above the class's: none, a split's, or a fold's and a split's."""
        *above, folder = path.split("/")[: depth + 1]
        split = split_named(above[-1]) if above else None
        fold = above[0] if len(above) > 1 else None
        return cls(path, printable(tidy(folder)), split, fold, tuple(path.split("/")[depth + 1 :]))

    @property
    def fold_order(self) -> int:
        """The number of the fold folder; 0 where there are none."""
        return 0 if self.fold is None else fold_number(self.fold) or 0

    def with_patient(self, root: Path) -> "FolderImage":
        """Return the image with the folder just below its class as its patient.

        Raises:
            DataError: it lies in no such folder; `root` is named.
        """
        if len(self.below) < 2:
            raise DataError(f"{root}: '{printable(self.path)}' lies in no patient's folder below its class")
        return replace(self, patient=printable(tidy(self.below[0])))
