"""Finding: one thing that is wrong with a source, or may be; Audit: all of them, as a run can store them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Severity = Literal["leak", "warning"]
LEAK, WARNING = get_args(Severity)
FIRST_FEW = 3

#: Every kind of finding, and what it means.
KINDS = {
    "copies_across_splits": "copies of one image in several splits: what is measured on one was seen in another",
    "copies_across_folds": "copies of one image on both sides of a ready-made fold",
    "images_across_folds": "one image on both sides of a ready-made fold",
    "patients_across_splits": "images of one patient in several splits",
    "patients_across_folds": "images of one patient on both sides of a ready-made fold",
    "copies_across_classes": "copies of one image with different labels: one of them is wrong",
    "copies_within_split": "copies of one image in one split: it counts more than others",
    "unreadable": "files that can't be read",
    "uniform": "images of one tone, which show nothing",
    "blank_labels": "images without a label",
    "multiple_labels": "images with several labels",
    "missing_patients": "images whose patient is not told, where others' are",
    "missing_splits": "images whose split is not told, where others' are",
    "missing_files": "rows of a table whose file is not there",
    "ignored_files": "files that are no images",
    "small_class": "classes of too few images to be split",
    "missing_class": "classes that a split, or a side of a fold, has no image of",
    "class_balance": "splits or folds whose classes have other shares than the rest's",
    "brightness": "splits or folds that are brighter or darker than the rest",
    "sharpness": "splits or folds that are sharper or less sharp than the rest",
    "tone": "splits or folds that are warmer or colder than the rest",
}


@dataclass(frozen=True)
class Finding:
    """One finding: its kind, one of KINDS, its severity, one line, how many there are, and the names of all."""

    kind: str
    severity: Severity
    text: str
    count: int
    names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"names": list(self.names)}


@dataclass(frozen=True)
class CopyRow:
    """Two images that are copies: their names, splits and labels, how they are, and how much they correlate.

    `how` is identical or near; `orientation` is what turns the first into the second.
    """

    first: str
    second: str
    how: str
    orientation: str
    correlation: float
    first_split: str
    second_split: str
    first_label: str
    second_label: str


@dataclass(frozen=True)
class Audit:
    """What is wrong with a source of `images` images, leaks first; `copies` lists each pair of images."""

    source: str
    images: int
    findings: tuple[Finding, ...]
    copies: tuple[CopyRow, ...] = ()

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that make every figure measured on this data too good."""
        return tuple(one for one in self.findings if one.severity == LEAK)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a JSON file."""
        return {
            "source": self.source,
            "images": self.images,
            "findings": [one.to_dict() for one in self.findings],
            "copies": [asdict(one) for one in self.copies],
        }


def few(names: Sequence[str], most: int = FIRST_FEW) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(count: int, what: str, several: str | None = None) -> str:
    """`1 image`, `2 images`."""
    return f"{count} {what if count == 1 else several or what + 's'}"
