"""List images in folders named by their class, perhaps below folders of splits, and these below folders of folds.

normal/a.png                     classes
train/normal/a.png               splits, under any usual name: Train, TRAINING, val, Valid, dev, test, Testing
Fold0/Train/normal/a.png         folds; the same image lies in many of them, and is listed once

Class folders may hold folders of their own, of patients or series.
"""

from collections import Counter
from dataclasses import replace

from medray.data.listing.dicom_patients import with_dicom_patients
from medray.data.listing.exclude import exclude_paths
from medray.data.listing.file_tree import FileTree, find_files
from medray.data.listing.fold_folders import merge_folds
from medray.data.listing.folder_image import FolderImage
from medray.data.listing.folder_layout import FLAT, FOLDED, check_classes, find_depth
from medray.data.listing.folder_names import unify_spelling
from medray.data.listing.listing import SPLITS, TRAIN, ListedImage, Listing
from medray.data.listing.side_cars import check_side_cars
from medray.data.listing.side_classes import check_side_classes
from medray.data.source import EXCLUDE, PATIENTS, Source
from medray.errors import DataError, SideCarError, printable, unknown_choice_line

PATIENTS_FROM = ("folder",)


def list_folder(source: Source) -> Listing:
    """List the images of class folders, sorted by their paths.

    Class names that differ only in case, or in how an accent is written, are one class, named as in train. With
    the option `patients=folder` the folder just below the class is the patient, the same one below any class.
    Without it, patients are read from DICOM files. The option `exclude` names folders and files to leave out,
    and `side_cars=keep` takes masks and the like for images.

    Raises:
        SideCarError: masks, overlays or the like lie among the images or beside the classes.
        DataError: there is no such folder, or it holds no images, one class, images beside class folders, a class
            that train lacks, or one image in two classes; or an option's value is unknown.
    """
    patients = source.options.get(PATIENTS, "")
    if patients not in ("", *PATIENTS_FROM):
        raise DataError(unknown_choice_line("kind of patients", patients, PATIENTS_FROM), file=str(source))
    tree, notes = exclude_paths(find_files(source.path), source.options.get(EXCLUDE))
    listing = list_tree(tree, source, patients_by_folder=bool(patients))
    return replace(listing, notes=(*notes, *listing.notes))


def list_tree(tree: FileTree, source: Source, *, patients_by_folder: bool = False) -> Listing:
    """List the images of a tree as `list_folder` does."""
    depth = find_depth(tree)
    images = [FolderImage.from_path(path, depth) for path in tree.images]
    train_first = sorted(images, key=lambda image: (image.split not in (TRAIN, None), image.fold_order))
    names, spelling_notes = unify_spelling(image.label for image in train_first)
    images = [replace(image, label=names[image.label]) for image in images]
    try:
        side_notes = check_side_classes(images, tree.root, source)
        check_classes(tree, images)
        side_notes += check_side_cars([image.path for image in images], source, level=depth + 1)
    except SideCarError as error:
        raise error.within(file=tree.root) from None
    if patients_by_folder:
        images = [image.with_patient(tree.root) for image in images]
    splits = Counter(image.split for image in images)
    named = ", ".join(split for split in SPLITS if splits[split])
    layout = "no splits" if depth == FLAT else f"splits by theirs: {named}"
    notes = [f"{len({image.label for image in images})} classes by their folders, {layout}"]
    folds = None
    if depth == FOLDED:
        images, folds, fold_notes = merge_folds(tree.root, images)
        notes += fold_notes
    notes += [*spelling_notes, *side_notes]
    filled = {"/".join(image.split("/")[: depth + 1]) for image in tree.images}
    empty = [printable(path) for path in tree.folders if path.count("/") == depth and path not in filled]
    if empty:
        notes.append(f"folders without images: {', '.join(empty)}")
    listed = tuple(
        ListedImage(tree.root / image.path, printable(image.path), (image.label,), image.split, image.patient)
        for image in images
    )
    if not patients_by_folder:
        listed, patient_notes = with_dicom_patients(listed)
        notes += patient_notes
        if all(len(image.below) == 2 for image in images):
            notes.append("folders lie between classes and images, and are not taken for patients unless asked for")
    ignored = tuple(map(printable, tree.ignored))
    return Listing(str(source), tree.root, listed, folds=folds, ignored=ignored, notes=tuple(notes))
