"""DICOM files: their patients are told by themselves; their labels by folders, where these are classes."""

from dataclasses import replace

from medray.data.listing.dicom_identity import hashed, read_identity
from medray.data.listing.dicom_patients import is_dicom, with_dicom_patients
from medray.data.listing.exclude import exclude
from medray.data.listing.folders import list_found
from medray.data.listing.listing import ListedImage, Listing
from medray.data.listing.scan import DICOM_SUFFIXES, FoundFiles, find_files
from medray.data.source import EXCLUDE, Source
from medray.errors import DataError, printable


def list_dicom(source: Source) -> Listing:
    """List the DICOM files below a folder, sorted by their paths; other files are ignored, and named as such.

    Folders are classes as in `list_folder`. Where there are none, or each is named by the patient whose files it
    holds, the images have no labels. A patient is a hash of PatientID, and nothing else of it is kept. The
    option `exclude` names folders to leave out.

    Raises:
        DataError: as `list_folder` does, or there are no DICOM files.
    """
    left, excluded = exclude(find_files(source.path), source.options.get(EXCLUDE))
    found = _only_dicom(left)
    plain = tuple(ListedImage(found.root / image, printable(image)) for image in found.images)
    if any("/" in image for image in found.images) and not _folders_are_patients(found):
        listing = list_found(found, source)
        return replace(listing, notes=(*excluded, *listing.notes, *_one_patient_each(listing)))
    images, notes = with_dicom_patients(plain)
    notes = [*excluded, "no class folders, so no labels", *notes]
    return Listing(
        str(source), found.root, images, ignored=tuple(map(printable, found.ignored)), notes=tuple(notes)
    )


def _one_patient_each(listing: Listing) -> list[str]:
    patients: dict[tuple[str, ...], set[str | None]] = {}
    for image in listing.images:
        patients.setdefault(image.labels, set()).add(image.patient)
    alone = all(len(own) == 1 for own in patients.values()) and None not in set.union(*patients.values())
    return ["each class is of one patient only: are the folders patients, and no classes?"] if alone else []


def _only_dicom(found: FoundFiles) -> FoundFiles:
    images = tuple(image for image in found.images if is_dicom(found.root / image))
    others = tuple(sorted({*found.ignored, *found.images} - set(images)))
    if not images:
        first = f" ({len(others)} other files, the first '{printable(others[0])}')" if others else ""
        raise DataError(f"{found.root}: no DICOM files{first}; valid: {', '.join(sorted(DICOM_SUFFIXES))}")
    return replace(found, images=images, ignored=others)


def _folders_are_patients(found: FoundFiles) -> bool:
    """Whether each folder at the top is named by the PatientID of all the files below it."""
    for image in found.images:
        identity = read_identity(found.root / image)
        if identity is None or identity.patient != hashed(image.partition("/")[0].strip()):
            return False
    return True
