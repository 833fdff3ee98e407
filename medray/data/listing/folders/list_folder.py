"""List images in folders named by their class, perhaps below folders of splits, and these below folders of folds.

normal/a.png                     classes
train/normal/a.png               splits, under any usual name: Train, val, Testing, hold-out, seg_train, test_set
Fold0/Train/normal/a.png         folds; the same image lies in many of them, and is listed once
Fold0/normal/a.png               folds without splits: each holds out its own images
40X/normal/a.png                 subgroups, which the option `subgroups` names
p1/normal/a.png                  patients above the classes, with the option `patients=above`

Class folders may hold folders of their own, of patients or series.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from medray.data.listing.dicom.dicom_patients import with_dicom_patients
from medray.data.listing.exclude import exclude_paths
from medray.data.listing.file_copies import note_copies
from medray.data.listing.file_tree import FileTree, find_files
from medray.data.listing.folder_names import split_named, unify_spelling
from medray.data.listing.folders.class_folders import check_classes
from medray.data.listing.folders.fold_folders import hold_out_folders, merge_folds
from medray.data.listing.folders.folder_image import FOLD, HELD_OUT, SPLIT, FolderImage
from medray.data.listing.folders.folder_patients import check_patients, with_patients
from medray.data.listing.folders.layout import AskedLevels, find_levels
from medray.data.listing.folders.related_images import note_related
from medray.data.listing.listing import CALIBRATION, SPLITS, TRAIN, ListedImage, Listing
from medray.data.listing.side_cars.check_side_cars import check_side_cars
from medray.data.listing.side_cars.side_classes import check_side_classes
from medray.data.source import EXCLUDE, PATIENTS, Source
from medray.errors import SideCarError, printable


def list_folder(source: Source) -> Listing:
    """List the images of class folders, sorted by their paths.

    Class names that differ only in case, or in how an accent is written, are one class, named as in train. With
    the option `patients=folder` the folder just below the class is the patient, the same one below any class, with
    a number that of a deeper level; a pattern is searched in the path below the class. Without it, patients are
    read from DICOM files. The option `subgroups` names what folders above the classes are that are no splits,
    `exclude` folders and files to leave out, and `side_cars=keep` takes masks and the like for images.

    Raises:
        SideCarError: masks, overlays or the like lie among the images or beside the classes.
        DataError: there is no such folder, or it holds no images, one class, images beside class folders, a class
            that train lacks, or one image in two classes; or an option's value is unknown.
    """
    check_patients(source.options.get(PATIENTS, ""), str(source))
    tree, notes = exclude_paths(find_files(source.path), source.options.get(EXCLUDE))
    listing = list_tree(tree, source)
    return replace(listing, notes=(*notes, *listing.notes))


def list_tree(tree: FileTree, source: Source) -> Listing:
    """List the images of a tree as `list_folder` does."""
    asked = AskedLevels.from_options(source.options, str(source))
    levels = find_levels(tree, asked)
    depth = len(levels)
    images = [FolderImage.from_path(path, levels) for path in tree.images]
    train_first = sorted(images, key=lambda image: (image.split not in (TRAIN, None), image.fold_order))
    names, spelling_notes = unify_spelling(image.label for image in train_first)
    images = [replace(image, label=names[image.label]) for image in images]
    try:
        side_notes = check_side_classes(images, tree.root, source)
        check_classes(tree, images, guess=asked.guess)
        side_notes += check_side_cars([image.path for image in images], source, level=depth + 1)
    except SideCarError as error:
        raise error.within(file=tree.root) from None
    patients, patient_notes = source.options.get(PATIENTS, ""), list[str]()
    if patients:
        images, patient_notes = with_patients(tree.root, images, patients)
    folds, fold_notes = None, list[str]()
    if HELD_OUT in levels:
        images, folds, fold_notes = hold_out_folders(tree.root, images)
    notes = [
        f"{len({image.label for image in images})} classes by their folders, {_splits_in_words(images, levels)}"
    ]
    notes += [
        f"subgroups '{name}' by folders above the classes: {_count_names(images, position)}"
        for position, name in enumerate(asked.subgroups)
    ]
    if FOLD in levels:
        images, folds, fold_notes = merge_folds(tree.root, images)
    notes += [*fold_notes, *spelling_notes, *side_notes]
    filled = {"/".join(image.split("/")[: depth + 1]) for image in tree.images}
    empty = [printable(path) for path in tree.folders if path.count("/") == depth and path not in filled]
    if empty:
        notes.append(f"folders without images: {', '.join(empty)}")
    listed = tuple(
        ListedImage(
            tree.root / image.path,
            printable(image.path),
            (image.label,),
            image.split,
            image.patient,
            dict(zip(asked.subgroups, image.subgroups, strict=True)),
        )
        for image in images
    )
    if not patients:
        listed, patient_notes = with_dicom_patients(listed)
        if not any(image.patient for image in listed):
            patient_notes += note_related(images)
    by_class: dict[tuple[str, ...], set[str | None]] = {}
    for image_listed in listed:
        by_class.setdefault(image_listed.labels, set()).add(image_listed.patient)
    if all(len(names) == 1 and None not in names for names in by_class.values()):
        patient_notes.append("each class is of one patient only: are the folders patients, and no classes?")
    notes += [*patient_notes, *note_copies([image.path for image in images])]
    ignored = tuple(map(printable, tree.ignored))
    return Listing(str(source), tree.root, listed, folds=folds, ignored=ignored, notes=tuple(notes))


def _splits_in_words(images: Sequence[FolderImage], levels: Sequence[str]) -> str:
    """Return the splits of the images, each with its folder if that is named otherwise."""
    if not {SPLIT, HELD_OUT} & {*levels} or not any(image.split for image in images):
        return "no splits"
    depth = levels.index(SPLIT if SPLIT in levels else HELD_OUT)
    folders: dict[str, set[str]] = {}
    for image in images:
        if image.split:
            folders.setdefault(image.split, set()).add(image.path.split("/")[depth])
    named = []
    for split in (*SPLITS, CALIBRATION):
        others = sorted(name for name in folders.get(split, ()) if split_named(name) != split)
        if split in folders:
            named.append(f"{split} ({', '.join(map(repr, map(printable, others)))})" if others else split)
    return f"splits by theirs: {', '.join(named)}"


def _count_names(images: Sequence[FolderImage], position: int) -> str:
    counts = Counter(image.subgroups[position] for image in images)
    return ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items()))
