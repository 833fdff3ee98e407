"""List DICOM files: patients are read from the files, labels from folders if these are classes."""

from dataclasses import replace

from medray.data.listing.dicom.dicom_identity import read_identity, short_hash
from medray.data.listing.dicom.dicom_patients import is_dicom, with_dicom_patients
from medray.data.listing.exclude import exclude_paths
from medray.data.listing.file_tree import DICOM_SUFFIXES, FileTree, find_files
from medray.data.listing.folders.folder_patients import check_patients
from medray.data.listing.folders.list_folder import list_tree
from medray.data.listing.listing import ListedImage, Listing
from medray.data.listing.side_cars.check_side_cars import check_side_cars
from medray.data.source import EXCLUDE, PATIENTS, SUBGROUPS, Source
from medray.errors import DataError, SideCarError, printable


def list_dicom(source: Source) -> Listing:
    """List the DICOM files below a folder, sorted by their paths; other files are ignored, and named as such.

    Folders are classes as in `list_folder`. If there are none, or each is named by the patient whose files it
    holds, the images have no labels. A patient is a hash of PatientID, and nothing else of it is kept, unless
    the option `patients` says which folders or names are the patients. The option `exclude` names folders and
    files to leave out.

    Raises:
        DataError: as `list_folder` does, or there are no DICOM files.
    """
    patients_from = source.options.get(PATIENTS, "")
    check_patients(patients_from, str(source))
    tree, excluded = exclude_paths(find_files(source.path), source.options.get(EXCLUDE))
    images = tuple(image for image in tree.images if is_dicom(tree.root / image))
    ignored = tuple(sorted({*tree.ignored, *tree.images} - set(images)))
    if not images:
        first = f" ({len(ignored)} other files, the first '{printable(ignored[0])}')" if ignored else ""
        raise DataError(f"{tree.root}: no DICOM files{first}; valid: {', '.join(sorted(DICOM_SUFFIXES))}")
    tree = replace(tree, images=images, ignored=ignored)
    asked = bool(patients_from) or SUBGROUPS in source.options
    if any("/" in image for image in images) and (asked or not folders_are_patients(tree)):
        listing = list_tree(tree, source)
        return replace(listing, notes=(*excluded, *listing.notes))
    if asked:
        raise DataError(f"{tree.root}: options {PATIENTS} and {SUBGROUPS} need class folders, and there are none")
    try:
        side_notes = check_side_cars(images, source)
    except SideCarError as error:
        raise error.within(file=tree.root) from None
    listed, patient_notes = with_dicom_patients(
        tuple(ListedImage(tree.root / image, printable(image)) for image in images)
    )
    notes = [*excluded, "no class folders, so no labels", *side_notes, *patient_notes]
    return Listing(str(source), tree.root, listed, ignored=tuple(map(printable, ignored)), notes=tuple(notes))


def folders_are_patients(tree: FileTree) -> bool:
    """Return whether each folder at the top is named by the PatientID of all the files below it."""
    for image in tree.images:
        identity = read_identity(tree.root / image)
        if identity is None or identity.patient != short_hash(image.partition("/")[0].strip()):
            return False
    return True
