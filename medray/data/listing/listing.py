"""Listing: the image files that a source names, and what it says of each. Nothing is decoded yet.

What becomes of blank labels, sizes and unreadable files is decided later, when the data set is built, profiled or
audited.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from medray.data.dataset import Fold

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")
CALIBRATION = "calibration"  # a split that medray takes from train
BLANK, SEVERAL = "(blank)", "(several)"  # headings of images without a label, and with more than one


@dataclass(frozen=True)
class ListedImage:
    """One image file.

    `labels` are as the source has them: none if blank, several if it names several. `split` is train, val or test,
    or None if the source does not say. `where` names the image in a message: a path below the listing's root, or a
    table's line. `uncertain` are labels that it may have besides `labels`: it has no certain class then. `origin`
    are cells of a table, by column, that say where, when or how the image was taken. `unlabelled` says that a
    table with a column for each class says nothing in any of them.
    """

    path: Path
    where: str
    labels: tuple[str, ...] = ()
    split: str | None = None
    patient: str | None = None
    subgroups: Mapping[str, str] = field(default_factory=dict)
    uncertain: tuple[str, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    unlabelled: bool = False


def counted_as(labels: tuple[str, ...]) -> str:
    """Return the heading under which an image of these labels is counted: its one label, BLANK or SEVERAL."""
    return BLANK if not labels else labels[0] if len(labels) == 1 else SEVERAL


@dataclass(frozen=True)
class SourceFacts:
    """What a source says besides its images.

    `folds` are ready-made ones. `missing` names the rows of a table whose file does not exist, `ignored` the files
    that are no images. `notes` say what was guessed. `rows` counts a table's rows by label, BLANK and SEVERAL,
    those of `missing` included. `class_columns` says that a table has a column for each class, so that a row may
    be of none of them, and `label_columns` are their names; `read_as_blank` are the words in the label's column
    that were read as blank.
    """

    source: str
    _: KW_ONLY
    folds: tuple[Fold, ...] | None = None
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    class_columns: bool = False
    label_columns: tuple[str, ...] = ()
    read_as_blank: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing(SourceFacts):
    """The images of a source in a fixed order, each once, at paths below `root`."""

    root: Path
    images: tuple[ListedImage, ...]

    def __len__(self) -> int:
        return len(self.images)
