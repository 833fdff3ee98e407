"""Take the patients of a table's images from a column, their paths or DICOM files, or note what names share."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medray.data.listing.dicom.dicom_patients import with_dicom_patients
from medray.data.listing.exclude import relative_path
from medray.data.listing.folder_names import tidy
from medray.data.listing.folders.folder_patients import check_patients, is_pattern
from medray.data.listing.folders.related_images import note_file_names
from medray.data.listing.listing import ListedImage
from medray.data.source import PATIENT, PATIENTS, escaped
from medray.errors import DataError, printable
from medray.text import plural


def with_table_patients(
    images: tuple[ListedImage, ...], root: Path, column: str | None, options: Mapping[str, str]
) -> tuple[tuple[ListedImage, ...], list[str]]:
    """Return the images of a table with their patients, and notes on these.

    Patients are those of the `column`, which the images have already, or what the option `patients` matches in
    the path from the table's folder `root`, or what DICOM files name. Where there are none, a note says what file
    names share, unless the option `patient` is empty.

    Raises:
        DataError: the option `patients` is no pattern, stands beside a column, or does not match all images.
    """
    if PATIENTS in options:
        check_option(options[PATIENTS], column)
        return by_pattern(images, root, options[PATIENTS])
    if column:
        return images, []
    images, notes = with_dicom_patients(images)
    if options.get(PATIENT) != "" and not any(image.patient for image in images):
        paths = [relative_path(image.path, root) for image in images]
        notes += note_file_names(paths, [image.labels[0] if image.labels else "" for image in images])
    return images, notes


def check_option(option: str, column: str | None) -> None:
    """Check that the option `patients` is a pattern, and that no column names the patients.

    Raises:
        DataError: it is not, or one does.
    """
    if not is_pattern(option):
        raise DataError(
            f"option '{PATIENTS}': '{printable(option)}' is no pattern that is searched in a path, such as "
            f"(p\\d+)_; `?{PATIENT}={escaped(printable(option)) or 'COLUMN'}` names a column"
        )
    check_patients(option, f"option '{PATIENTS}'")
    if column:
        raise DataError(
            f"option '{PATIENTS}' takes patients from paths, and column '{printable(column)}' names them; "
            f"`?{PATIENT}=` says that it does not"
        )


def by_pattern(
    images: tuple[ListedImage, ...], root: Path, option: str
) -> tuple[tuple[ListedImage, ...], list[str]]:
    """Return the images with what a pattern, or its one group, matches in their paths below `root` as the patient.

    Raises:
        DataError: an image does not match, or all would be of one patient.
    """
    pattern = re.compile(option)
    patients = []
    for image in images:
        path = relative_path(image.path, root)
        match = pattern.search(path)
        patient = printable(tidy(match[pattern.groups] or "")) if match else ""
        if not patient:
            raise DataError(
                f"{image.where}: '{printable(path)}', the path from the table's folder, does not match "
                f"`{PATIENTS}={printable(option)}`"
            )
        patients.append(patient)
    if len(set(patients)) < 2 < len(images):
        raise DataError(f"by `{PATIENTS}={printable(option)}` all images would be of one patient, '{patients[0]}'")
    named = tuple(replace(image, patient=patient) for image, patient in zip(images, patients, strict=True))
    count = f"{len(set(patients)):,} of {plural(len(images), 'image')}, such as '{min(patients)}'"
    return named, [f"patients by `{PATIENTS}={printable(option)}`: {count}"]
