"""Listing: which image files a source names, and what it says of each. Nothing is decoded yet.

Class folders, fold folders, tables and DICOM folders each make one; what becomes of blank labels, sizes and
unreadable files is decided later, by whoever builds the data set, profiles it or audits it.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from medray.data.dataset import Fold

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")
BLANK, SEVERAL = "(blank)", "(several)"  # what images without a label are counted as, and with more than one


@dataclass(frozen=True)
class ListedImage:
    """One image file.

    `labels` are as the source has them: none where blank, several where it names several. `split` is train, val
    or test, or None where the source does not say. `where` names it in a message: a path below the listing's root,
    or a table's line.
    """

    path: Path
    where: str
    labels: tuple[str, ...] = ()
    split: str | None = None
    patient: str | None = None
    subgroups: Mapping[str, str] = field(default_factory=dict)


def counted_as(labels: tuple[str, ...]) -> str:
    """What an image of these labels is counted as: its one label, BLANK or SEVERAL."""
    return BLANK if not labels else labels[0] if len(labels) == 1 else SEVERAL


@dataclass(frozen=True)
class SourceFacts:
    """What a source says besides its images.

    `folds` are ready-made ones: positions (n,) int64 of the images to train on, and those held out. `missing`
    names rows of a table whose file is not there, `ignored` files that are no images. `notes` say what was
    guessed. `rows` counts a table's rows by label, those of `missing` included; BLANK and SEVERAL are counted as
    such. `class_columns` says that a table has a column for each class, so that a row may be of none of them;
    `read_as_blank` are the words of a label's column that were read as if nothing stood there.
    """

    source: str
    _: KW_ONLY
    folds: tuple[Fold, ...] | None = None
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    class_columns: bool = False
    read_as_blank: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing(SourceFacts):
    """The images of a source in a fixed order, each once."""

    root: Path
    images: tuple[ListedImage, ...]

    def __len__(self) -> int:
        return len(self.images)
