"""Finding: one thing that is or may be wrong with a source; Audit: all findings, as a run stores them."""

from dataclasses import dataclass
from typing import Literal, get_args

from medray.json_document import JsonDocument

Severity = Literal["leak", "warning", "info"]
FactKind = Literal["source", "form", "look"]
LEAK, WARNING, INFO = get_args(Severity)

#: Every kind of finding, and what it means.
KINDS = {
    "duplicates_across_splits": "duplicates in several splits: what is measured on one was seen in another",
    "duplicates_across_folds": "duplicates on both sides of a ready-made fold",
    "images_across_folds": "one image on both sides of a ready-made fold",
    "patients_across_splits": "images of one patient in several splits",
    "patients_across_folds": "images of one patient on both sides of a ready-made fold",
    "cases_across_splits": "images of one case (an exam, a lesion) in several splits",
    "cases_across_folds": "images of one case on both sides of a ready-made fold",
    "differing_labels": "patients, or cases, whose images have different labels",
    "duplicates_across_classes": "duplicates with different labels: one of them is wrong",
    "duplicates_within_split": "duplicates in one split: the image counts more than others",
    "unreadable": "files that can't be read",
    "uniform": "images of one grey level, which show nothing",
    "two_valued": "images of two values among others: masks, not images",
    "blank_labels": "images without a label",
    "multiple_labels": "images with several labels",
    "missing_patients": "images without a patient, where others have one",
    "missing_splits": "images without a split, where others have one",
    "missing_files": "rows of a table whose file does not exist",
    "ignored_files": "files that are not images",
    "small_class": "classes of too few images to be split",
    "missing_class": "classes without an image in a split, or on a side of a fold",
    "class_balance": "splits or folds whose class shares differ from the rest's",
    "brightness": "splits or folds that are brighter or darker than the rest",
    "sharpness": "splits or folds that are sharper or less sharp than the rest",
    "transparency": "classes whose images differ in their alpha channel, so they were not prepared alike",
    "shortcut_source": "classes that their files' folder, name, date, device or site tells apart, by itself",
    "shortcut_form": "classes that their images' size, format, mode or alpha tells apart, by itself",
    "shortcut_look": "classes that their images' border, brightness or contrast tells apart, by itself",
    "tone": "splits or folds that are warmer or colder than the rest",
}


@dataclass(frozen=True)
class Finding(JsonDocument):
    """One finding of a kind in KINDS: a line for a person, and the number and names of what it counts."""

    kind: str
    severity: Severity
    text: str
    count: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class DuplicatePair(JsonDocument):
    """Two images that are duplicates: their names, splits and labels, and the correlation of their details.

    `orientation` names what turns the first into the second.
    """

    first: str
    second: str
    how: Literal["identical", "near"]
    orientation: str
    correlation: float
    first_split: str
    second_split: str
    first_label: str
    second_label: str


@dataclass(frozen=True)
class Shortcut(JsonDocument):
    """A fact of the images, none of them the disease, that tells a class from all other images by itself.

    `rule` says which values of the fact speak for the class: `share` of its images have them, and `others` of all
    other images. `auc` is cross-validated, with its interval.
    """

    class_name: str
    fact: str
    kind: FactKind
    rule: str
    share: float
    others: float
    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class Audit(JsonDocument):
    """What is wrong with a source of `images` images, leaks first, and its pairs of duplicates.

    `shortcuts` are the clearest first; `notes` say what was not looked at.
    """

    source: str
    images: int
    findings: tuple[Finding, ...]
    duplicates: tuple[DuplicatePair, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that make every figure measured on this data too good."""
        return tuple(finding for finding in self.findings if finding.severity == LEAK)
