"""Patients of DICOM files, as the files themselves tell them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medray.data.decoding import sniff
from medray.data.listing.dicom_identity import Identity, read_identity
from medray.data.listing.listing import ListedImage
from medray.data.listing.scan import DICOM_SUFFIXES, head_of, suffix_of

_Images = tuple[ListedImage, ...]


def with_dicom_patients(images: _Images) -> tuple[_Images, list[str]]:
    """Give images the patients that their files tell, if all do; and say what became of it.

    Files that can't be read at all stay without. No patient is taken where all files have the same PatientID,
    which then is a placeholder.
    """
    dicom = [is_dicom(image.path) for image in images]
    found = [read_identity(image.path) if own else None for image, own in zip(images, dicom, strict=True)]
    read = [identity for identity in found if identity]
    if not read:
        return images, []
    note = _trouble(images, found, dicom)
    if note:
        return images, [f"DICOM files in {_series(read)}; no patients: {note}"]
    told = tuple(
        replace(image, patient=identity.patient) if identity else image
        for image, identity in zip(images, found, strict=True)
    )
    patients = len({identity.patient for identity in read})
    note = f"patients by PatientID, as hashes: {patients} in {_series(read)}"
    unread = [image.where for image, identity in zip(images, found, strict=True) if identity is None]
    lost = f"; DICOM files that can't be read: {len(unread)}, the first '{unread[0]}'" if unread else ""
    return told, [note + lost]


def _trouble(images: _Images, found: Sequence[Identity | None], dicom: Sequence[bool]) -> str:
    """Why the patients can't be taken from the files; nothing if they can."""
    without = [
        image.where
        for image, identity, own in zip(images, found, dicom, strict=True)
        if (identity.patient is None if identity else not own)
    ]
    if without:
        return f"{len(without)} of {len(images)} files tell no PatientID, the first '{without[0]}'"
    if len({identity.patient for identity in found if identity}) == 1:
        return "PatientID is the same in all files"
    return ""


def _series(found: Sequence[Identity]) -> str:
    return f"{len({identity.series for identity in found if identity.series})} series"


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its suffix, or by its first bytes where it has none that is known."""
    suffix = suffix_of(path.name)
    return suffix in DICOM_SUFFIXES if suffix else sniff(head_of(path)) == "dicom"
