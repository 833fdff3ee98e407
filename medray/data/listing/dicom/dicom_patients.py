"""Give DICOM images the patients that their files name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medray.data.decoding import sniff
from medray.data.listing.dicom.dicom_identity import read_identity
from medray.data.listing.file_tree import DICOM_SUFFIXES, image_suffix, read_head
from medray.data.listing.listing import ListedImage


def with_dicom_patients(images: Sequence[ListedImage]) -> tuple[tuple[ListedImage, ...], list[str]]:
    """Return the images with the patients that their files name, and a note on them if some files are DICOM.

    No patients are taken if a readable file names none, or all files have the same PatientID, which then is a
    placeholder. Files that can't be read get no patient.
    """
    dicom = [is_dicom(image.path) for image in images]
    identities = [read_identity(image.path) if flag else None for image, flag in zip(images, dicom, strict=True)]
    read = [identity for identity in identities if identity]
    if not read:
        return tuple(images), []
    series = f"{len({identity.series for identity in read if identity.series})} series"
    patients = {identity.patient for identity in read}
    columns = list(zip(images, identities, dicom, strict=True))
    nameless = [
        image.where for image, identity, flag in columns if (identity.patient is None if identity else not flag)
    ]
    if nameless:
        reason = f"{len(nameless)} of {len(images)} files tell no PatientID, the first '{nameless[0]}'"
        return tuple(images), [f"DICOM files in {series}; no patients: {reason}"]
    if len(patients) == 1:
        return tuple(images), [f"DICOM files in {series}; no patients: PatientID is the same in all files"]
    unread = [image.where for image, identity, _ in columns if identity is None]
    problem = f"; DICOM files that can't be read: {len(unread)}, the first '{unread[0]}'" if unread else ""
    return tuple(
        replace(image, patient=identity.patient) if identity else image for image, identity, _ in columns
    ), [f"patients by PatientID, as hashes: {len(patients)} in {series}{problem}"]


def is_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its suffix, or by its first bytes if it has no known suffix."""
    suffix = image_suffix(path.name)
    return suffix in DICOM_SUFFIXES if suffix else sniff(read_head(path)) == "dicom"
