"""Where an image lies in a tree of folders, and what that says of it."""

from dataclasses import dataclass

from medray.data.listing.folder_names import fold_number


@dataclass(frozen=True)
class Placed:
    """An image by its path below the root: its class, its split and the fold folder, if there are any.

    `below` is the rest of the path, from the class's folder on.
    """

    path: str
    label: str
    split: str | None
    fold: str | None
    below: tuple[str, ...]
    patient: str | None = None

    @property
    def fold_order(self) -> int:
        """The number of the fold folder; 0 where there are none."""
        return 0 if self.fold is None else fold_number(self.fold) or 0
