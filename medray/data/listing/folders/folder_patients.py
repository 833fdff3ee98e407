"""Take the patients from the folders or file names below those of the classes, as the option `patients` says."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from medray.data.listing.folder_names import tidy
from medray.data.listing.folders.folder_image import FolderImage
from medray.data.listing.folders.layout import ABOVE
from medray.data.listing.folders.related_images import LevelBelow, best_level, levels_below
from medray.data.source import PATIENTS
from medray.errors import DataError, nearest, printable
from medray.text import plural

FOLDER = "folder"
_SIGNS = re.compile(r"[\\\[\](){}^$.*+?|]")  # without one of them it is a word, not a pattern
VALID = (
    f"valid: {FOLDER} (just below the class), a level's number below it, {ABOVE}, or a pattern such as (p\\d+)_"
)


def is_pattern(option: str) -> bool:
    """Return whether an option `patients` is a pattern, and neither a word nor the number of a level."""
    return _SIGNS.search(option) is not None


def check_patients(option: str, source: str) -> None:
    """Check that the option `patients` is a word, a number or a pattern that can be read.

    Raises:
        DataError: it is none.
    """
    if option in ("", FOLDER, ABOVE) or re.fullmatch(r"[1-9][0-9]?", option):
        return
    if not is_pattern(option):
        raise DataError(
            f"unknown kind of patients '{printable(option)}'{nearest(option, (FOLDER, ABOVE))}; {VALID}",
            file=source,
        )
    try:
        groups = re.compile(option).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(f"pattern of patients '{printable(option)}' can't be read: {error}", file=source) from None
    if groups > 1:
        raise DataError(
            f"pattern of patients '{printable(option)}' has {groups} groups; valid: one or none", file=source
        )


def with_patients(root: Path, images: Sequence[FolderImage], option: str) -> tuple[list[FolderImage], list[str]]:
    """Return the images with the patients of an option that `check_patients` passed, and a note on them.

    A number is the level of folders below the class's, and folders of one name are one patient, whatever lies
    above them. A pattern is searched in the path below the class's folder; its group, or all that it matches, is
    the patient.

    Raises:
        DataError: an image lies in no such folder, its path does not match, or all images would be of one patient.
    """
    if option == ABOVE:
        taken = list(images)
    else:
        level = 1 if option == FOLDER else int(option) if option.isdecimal() else 0
        read = _read_folder(level) if level else _read_pattern(option)
        taken = [replace(image, patient=read(image)) for image in images]
        without = [image for image in taken if not image.patient]
        if without:
            lacks = "lies in no patient's folder" if level else f"does not match '{printable(option)}'"
            where = f" {level} levels" if level > 1 else ""
            raise DataError(
                f"{root}: '{printable(without[0].path)}' {lacks}{where} below its class{_count(without, images)}"
                f"{_hint(images)}"
            )
    patients = {image.patient for image in taken}
    if len(patients) < 2 < len(images):
        raise DataError(
            f"{root}: by `{PATIENTS}={printable(option)}` all images would be of one patient, "
            f"'{min(map(str, patients))}'"
            f"{_hint(images)}"
        )
    _check_one_each(root, taken, option)
    example = printable(str(min(map(str, patients))))
    depth = int(option) if option.isdecimal() else 1
    folders = {image.below[:depth] for image in images}
    joined = f"; folders of one name are one patient ({len(folders):,} folders)" if depth > 1 else ""
    joined = joined if len(folders) > len(patients) else ""
    kind = "folders above the classes" if option == ABOVE else f"`{PATIENTS}={printable(option)}`"
    return taken, [
        f"patients by {kind}: {len(patients):,} of {plural(len(taken), 'image')}, such as '{example}'{joined}"
    ]


def _read_folder(level: int) -> Callable[[FolderImage], str | None]:
    return lambda image: printable(tidy(image.below[level - 1])) if len(image.below) > level else None


def _read_pattern(option: str) -> Callable[[FolderImage], str | None]:
    pattern = re.compile(option)

    def read(image: FolderImage) -> str | None:
        match = pattern.search("/".join(image.below))
        return printable(tidy(match[pattern.groups] or "")) if match else None

    return read


def _check_one_each(root: Path, images: Sequence[FolderImage], option: str) -> None:
    """Refuse a level of which each class has one folder of its own, if a deeper one has more."""
    by_class: dict[str, set[str | None]] = {}
    for image in images:
        by_class.setdefault(image.label, set()).add(image.patient)
    deeper = [level for level in levels_below(images) if not level.alone and level.folders > len(by_class)]
    if all(len(names) == 1 for names in by_class.values()) and deeper and option != ABOVE:
        raise DataError(
            f"{root}: by `{PATIENTS}={printable(option)}` each class would be of one patient{_hint(images)}"
        )


def _count(without: Sequence[FolderImage], images: Sequence[FolderImage]) -> str:
    return f" (so do {len(without):,} of {len(images):,} images)" if len(without) > 1 else ""


def _hint(images: Sequence[FolderImage]) -> str:
    """Return the end of an error's line: the levels that there are, and the option for the likeliest one."""
    levels: list[LevelBelow] = levels_below(images)
    if not levels:
        return ""
    useful = [level for level in levels if len(level.names) > 1] or levels
    listed = "; ".join(level.describe(len(images)) for level in levels)
    option = best_level(useful).option(len(images))
    return f"; folders below those of the classes: {listed}; `{option}` takes the likeliest"
