"""Images in folders named by their class, perhaps below folders of splits, and these below folders of folds.

normal/a.png                     classes
train/normal/a.png               splits, under any usual name: Train, TRAINING, val, Valid, dev, test, Testing
Fold0/Train/normal/a.png         folds; the same image stands in many of them, and is listed once

Class folders may hold folders of their own, of patients or series.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medray.data.dataset import Fold
from medray.data.listing.dicom_patients import with_dicom_patients
from medray.data.listing.exclude import check_masks, exclude, leave_out
from medray.data.listing.fold_folders import join_folds
from medray.data.listing.folder_image import Placed
from medray.data.listing.folder_names import SPLIT_NAMES, fold_number, one_spelling, split_named, tidy
from medray.data.listing.listing import TEST, TRAIN, VAL, ListedImage, Listing
from medray.data.listing.scan import IMAGE_SUFFIXES, FoundFiles, find_files
from medray.data.source import EXCLUDE, PATIENTS, Source
from medray.errors import DataError, nearest, printable, unknown_choice_line

PATIENTS_FROM = ("folder",)
FLAT, SPLIT, FOLDED = 0, 1, 2  # folders above those of the classes


def list_folder(source: Source) -> Listing:
    """List the images of class folders, sorted by their paths.

    Class names that differ only in case, or in how an accent is written, are one class, named as in train. With
    the option `patients=folder` the folder just below the class is the patient, the same one below any class.
    Without it, patients are read from DICOM files. The option `exclude` names folders to leave out.

    Raises:
        DataError: there is no such folder, or it holds no images, one class, images beside class folders, a class
            that train lacks, masks below a class, or one image in two classes; or an option's value is unknown.
    """
    patients = source.options.get(PATIENTS, "")
    if patients not in ("", *PATIENTS_FROM):
        raise DataError(unknown_choice_line("kind of patients", patients, PATIENTS_FROM), file=str(source))
    found, notes = exclude(find_files(source.path), source.options.get(EXCLUDE))
    listing = list_found(found, source, patients_by_folder=bool(patients))
    return replace(listing, notes=(*notes, *listing.notes))


def list_found(found: FoundFiles, source: Source, *, patients_by_folder: bool = False) -> Listing:
    """List images that are already found, as `list_folder` does."""
    depth = _depth(found)
    if depth == FOLDED:
        _check_folds(found)
    _check_loose(found, depth)
    placed, notes = _one_spelling([_place(image, depth) for image in found.images])
    _check_classes(found, placed)
    _check_below(found, placed)
    check_masks(found, placed)
    if patients_by_folder:
        placed = [_with_patient(found.root, image) for image in placed]
    kept, folds, more = join_folds(found.root, placed) if depth == FOLDED else (placed, None, [])
    notes = [_layout(placed, depth), *more, *notes, *_empty_classes(found, depth)]
    return _listing(found, source, kept, folds, notes, patients_by_folder)


def _listing(
    found: FoundFiles,
    source: Source,
    kept: Sequence[Placed],
    folds: tuple[Fold, ...] | None,
    notes: list[str],
    patients_by_folder: bool,
) -> Listing:
    images = tuple(
        ListedImage(found.root / image.path, printable(image.path), (image.label,), image.split, image.patient)
        for image in kept
    )
    if not patients_by_folder:
        images, more = with_dicom_patients(images)
        notes = [*notes, *more, *_deeper(kept)]
    ignored = tuple(map(printable, found.ignored))
    return Listing(str(source), found.root, images, folds=folds, ignored=ignored, notes=tuple(notes))


# -- which folders mean what


def _tops(found: FoundFiles, prefix: str = "") -> list[str]:
    """The names of the folders just below another, also of those without images."""
    inside = (folder.removeprefix(prefix) for folder in found.folders if folder.startswith(prefix))
    return [name for name in inside if name and "/" not in name]


def _filled(found: FoundFiles, prefix: str = "") -> list[str]:
    """Those of them with images below."""
    inside = (image.removeprefix(prefix) for image in found.images if image.startswith(prefix))
    return sorted({image.partition("/")[0] for image in inside if "/" in image})


def _depth(found: FoundFiles) -> int:
    """How many folders stand above those of the classes."""
    if not found.images:
        others = (
            f" ({len(found.ignored)} other files, the first '{printable(found.ignored[0])}')"
            if found.ignored
            else ""
        )
        raise DataError(f"{found.root}: no images{others}; valid: {', '.join(sorted(IMAGE_SUFFIXES))}")
    tops = _tops(found)
    if any(fold_number(name) is not None for name in tops):
        return FOLDED
    if any(split_named(name) == TRAIN for name in tops) or (
        len(_filled(found)) > 0 and all(map(split_named, _filled(found)))
    ):
        _check_splits(found)
        return SPLIT
    return FLAT


def _check_folds(found: FoundFiles) -> None:
    numbers: dict[int, str] = {}
    filled = _filled(found)
    for name in _tops(found):
        number = fold_number(name)
        if number is None and name in filled:
            raise DataError(
                f"{found.root}: '{printable(name)}' lies beside fold folders; valid: names such as Fold0"
            )
        if number is not None and numbers.setdefault(number, name) != name:
            raise DataError(f"{found.root}: two folders are fold {number}: '{numbers[number]}' and '{name}'")
    for name in numbers.values():
        _check_splits(found, f"{name}/")


def _check_splits(found: FoundFiles, prefix: str = "") -> None:
    """Each folder is a split's, none stands twice, none is empty, and train is there."""
    place, filled = found.root / prefix, _filled(found, prefix)
    folders: dict[str, str] = {}
    for name in _tops(found, prefix):
        split = split_named(name)
        if split and folders.setdefault(split, name) != name:
            raise DataError(f"{place}: two folders are the {split} split: '{folders[split]}' and '{name}'")
        if split is None and name in filled:
            hint = nearest(name, SPLIT_NAMES)
            raise DataError(
                f"{place}: '{printable(name)}' lies where split folders do{hint}; valid: {_words()}"
                f"{leave_out(name)}"
            )
        if split and name not in filled:
            raise DataError(f"{place}: the {split} split's folder '{name}' holds no classes with images")
    if TRAIN not in folders:
        held = ", ".join(folders.values()) or "no split folders"
        raise DataError(f"{place}: no folder for train, only {held}; valid: {_words()}")


def _words() -> str:
    return f"{', '.join(SPLIT_NAMES)}, in upper or lower case"


def _check_loose(found: FoundFiles, depth: int) -> None:
    loose = [image for image in found.images if image.count("/") <= depth]
    if not loose:
        return
    if depth == FLAT and len(loose) == len(found.images):
        raise DataError(f"{found.root}: {len(loose)} images but no class folders; each class needs a folder")
    count = "an image lies" if len(loose) == 1 else f"{len(loose)} images lie"
    raise DataError(
        f"{found.root}: {count} beside the folders and not in a class's, the first '{printable(loose[0])}'"
    )


def _place(image: str, depth: int) -> Placed:
    *above, folder = image.split("/")[: depth + 1]
    split = split_named(above[-1]) if above else None
    fold = above[0] if depth == FOLDED else None
    return Placed(image, printable(tidy(folder)), split, fold, tuple(image.split("/")[depth + 1 :]))


# -- classes


def _one_spelling(placed: list[Placed]) -> tuple[list[Placed], list[str]]:
    """Give classes that differ only in case one name: train's."""
    ordered = sorted(placed, key=lambda image: (image.split not in (TRAIN, None), image.fold_order))
    names, notes = one_spelling(image.label for image in ordered)
    return [replace(image, label=names[image.label]) for image in placed], notes


def _check_classes(found: FoundFiles, placed: list[Placed]) -> None:
    """At least two, and in each fold all are in train."""
    names = sorted({image.label for image in placed})
    if len(names) < 2:
        raise DataError(f"{found.root}: one class only, '{names[0]}'; at least two are needed{_inside(found)}")
    trained = {(image.fold, image.label) for image in placed if image.split in (TRAIN, None)}
    for image in placed:
        if (image.fold, image.label) not in trained:
            known = sorted(label for fold, label in trained if fold == image.fold)
            raise DataError(
                f"{found.root}: class '{image.label}' of {image.split} is not in train"
                f"{nearest(image.label, known)}; train has: {', '.join(known)} ('{printable(image.path)}')"
            )


def _check_below(found: FoundFiles, placed: list[Placed]) -> None:
    """No splits or folds where classes and what is in them are: they would go unseen."""
    for image in placed:
        if len(image.below) > 1 and split_named(image.below[0]):
            lies = f"'{printable(image.below[0])}' lies below class '{image.label}'"
            raise DataError(f"{found.root}: {lies}; split folders must stand above those of the classes")
    if all(fold_number(image.label) is not None for image in placed):
        raise DataError(
            f"{found.root}: fold folders lie below '{printable(placed[0].path.partition('/')[0])}'; "
            "they must stand above those of the splits"
        )


def _inside(found: FoundFiles) -> str:
    """Where the classes or splits may be, if a folder more is wrapped around them."""
    outer = _filled(found)
    inner = _filled(found, f"{outer[0]}/")
    return f" (did you mean '{found.root / outer[0]}'?)" if len(outer) == 1 and len(inner) > 1 else ""


def _empty_classes(found: FoundFiles, depth: int) -> list[str]:
    """What stands where class folders do and holds no image."""
    held = {"/".join(image.split("/")[: depth + 1]) for image in found.images}
    empty = [folder for folder in found.folders if folder.count("/") == depth and folder not in held]
    return [f"folders without images: {', '.join(map(printable, empty))}"] if empty else []


# -- patients and notes


def _with_patient(root: Path, image: Placed) -> Placed:
    if len(image.below) < 2:
        raise DataError(f"{root}: '{printable(image.path)}' lies in no patient's folder below its class")
    return replace(image, patient=printable(tidy(image.below[0])))


def _deeper(kept: Sequence[Placed]) -> list[str]:
    if any(image.patient for image in kept) or not all(len(image.below) == 2 for image in kept):
        return []
    return ["folders lie between classes and images, and are not taken for patients unless asked for"]


def _layout(placed: list[Placed], depth: int) -> str:
    classes = f"{len({image.label for image in placed})} classes by their folders"
    if depth == FLAT:
        return f"{classes}, no splits"
    counts = Counter(image.split for image in placed)
    found = ", ".join(split for split in (TRAIN, VAL, TEST) if counts[split])
    return f"{classes}, splits by theirs: {found}"
