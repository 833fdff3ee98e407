"""Tables with a file for each row, read as a source of images."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from medray.data.listing.listing import Listing
from tests.data.listing.folders.folder_trees import check, list_text


def read_rows(root: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], options: str = "") -> Listing:
    """A table of these columns, and of images 1, 2 .. of its rows."""
    root.mkdir(exist_ok=True)
    with (root / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *columns])
        for number, row in enumerate(rows, 1):
            (root / f"i{number}.png").write_text(str(number))
            writer.writerow([f"i{number}.png", *row])
    return check(list_text(f"csv:{root}/t.csv{options}"))


def read_cells(root: Path, cells: Iterable[object], options: str = "") -> Listing:
    """A table with a column of labels."""
    return read_rows(root, ["label"], [[cell] for cell in cells], options)


def labels_of(listing: Listing) -> list[tuple[str, ...]]:
    """The labels of each image."""
    return [image.labels for image in listing.images]
