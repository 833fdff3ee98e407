"""Read an .npz file of MedMNIST's form as an ImageDataset."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from medray._types import Array
from medray.data.arrays import medmnist
from medray.data.dataset import Fold, ImageDataset
from medray.data.listing.listing import CALIBRATION, SPLITS
from medray.data.members import UNKNOWN
from medray.errors import DataError, not_found_line
from medray.tasks import SEVERAL, SINGLE

FOLD_COLUMNS = ("train_fold", "val_fold")
OPTIONAL = ("class_names", "train_groups", "val_groups", "test_groups", "calibration_groups", *FOLD_COLUMNS)
PARTS = ("images", "labels")  # of a split
SUBGROUP = "_subgroup_"  # train_subgroup_sex, val_subgroup_sex, test_subgroup_sex


def read_npz(
    path: Path, *, source: str, class_names: tuple[str, ...] | None = None, task: str | None = SINGLE.name
) -> ImageDataset:
    """Read a file of MedMNIST's form, perhaps with `calibration_images` and `calibration_labels` too.

    Class names are the ones given, or the file's own `class_names`, or MedMNIST's if the file is named as one of
    its sets and has as many classes, or else the numbers; `notes` says which. Labels are (N,), or for the `task`
    several (N, K); with None they are as the file has them.

    Raises:
        DataError: the file is missing, damaged, or lacks an array, or an array has the wrong type or shape.
    """
    arrays = load_arrays(path)
    try:
        splits = splits_of(arrays)
        images = [as_images(f"{split}_images", arrays[f"{split}_images"]) for split in splits]
        if task is None and all(_has_columns(arrays[f"{split}_labels"]) for split in splits):
            task = SEVERAL.name
        read = as_label_sets if task == SEVERAL.name else as_labels
        labels = np.concatenate([read(f"{split}_labels", arrays[f"{split}_labels"]) for split in splits])
        check_lengths(arrays)
        shapes = {split: part.shape[1:] for split, part in zip(splits, images, strict=True)}
        if len(set(shapes.values())) > 1:
            raise DataError(f"images differ in shape from split to split: {shapes}")
        ends = np.cumsum([0, *map(len, images)])
        class_names, note = choose_class_names(path, arrays, labels, class_names)
        groups, folds, subgroups = join_groups(arrays), folds_from_columns(arrays), join_subgroups(arrays)
    except DataError as error:
        raise error.within(file=path) from None
    return ImageDataset(
        images=np.concatenate(images),
        labels=labels,
        class_names=class_names,
        splits={split: np.arange(ends[i], ends[i + 1]) for i, split in enumerate(splits)},
        source=source,
        groups=groups,
        notes=(note,),
        folds=folds,
        subgroups=subgroups,
    )


def load_arrays(path: Path) -> dict[str, Array]:
    """Load the arrays of a file by name, as far as they are of MedMNIST's form; nothing in the file is run.

    Raises:
        DataError: the file is missing or damaged, or lacks the images or labels of a split.
    """
    needed = [f"{split}_{part}" for split in SPLITS for part in PARTS]
    calibration = [f"{CALIBRATION}_{part}" for part in PARTS]
    if not path.is_file():
        raise DataError(not_found_line("file", path))
    try:
        with path.open("rb") as opened, zipfile.ZipFile(opened) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            for name in needed:
                if name not in names:
                    raise DataError(f"{path}: lacks the array '{name}'; it holds: {', '.join(names) or 'none'}")
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as file:
                return {n: file[n] for n in names if n in (*needed, *calibration, *OPTIONAL) or SUBGROUP in n}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: can't be read as .npz: {' '.join(str(error).split())}") from None


def splits_of(arrays: dict[str, Array]) -> tuple[str, ...]:
    """Return train, val and test, and calibration if the file has it.

    Raises:
        DataError: an array of calibration is there, but not its images and labels both.
    """
    named = [name for name in arrays if name.startswith(f"{CALIBRATION}_")]
    missing = [f"{CALIBRATION}_{part}" for part in PARTS if f"{CALIBRATION}_{part}" not in arrays]
    if named and missing:
        raise DataError(
            f"has the array '{named[0]}' and lacks '{missing[0]}'; give both images and labels, or neither"
        )
    return (*SPLITS, CALIBRATION) if named else SPLITS


def as_images(name: str, images: Array) -> Array:
    """Return images as uint8 (N, H, W, C); DataError if they are not uint8 (N, H, W) or (N, H, W, C)."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(f"{name} is {images.dtype} {images.shape}, not uint8 (N, H, W) or (N, H, W, C)")
    return images[..., None] if images.ndim == 3 else images


def as_label_sets(name: str, labels: Array) -> Array:
    """Return labels of which an image may have several, int64 (N, K); DataError if they are not 0, 1 or -1."""
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "iub":
        raise DataError(
            f"{name} is {labels.dtype} {labels.shape}, not (N, labels) of 0 and 1, as `task: {SEVERAL.name}` needs"
            f"; `task: {SINGLE.name}` takes one class for each image"
        )
    table = labels.astype(np.int64)
    if table.size and (table.min() < UNKNOWN or table.max() > 1):
        raise DataError(f"{name} runs from {table.min()} to {table.max()}, not from -1 (unknown) to 1")
    return table


def as_labels(name: str, labels: Array) -> Array:
    """Return labels as int64 (N,); DataError if they are not whole numbers (N,) or (N, 1)."""
    column = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if column.ndim != 1 or column.dtype.kind not in "iu":
        raise DataError(
            f"{name} is {labels.dtype} {labels.shape}, not whole numbers (N,) or (N, 1): one class for each image"
            f"{_way_of_columns(labels) if _has_columns(labels) else ''}"
        )
    return column.astype(np.int64)


def _has_columns(labels: Array) -> bool:
    return labels.ndim == 2 and labels.shape[1] > 1


def _way_of_columns(labels: Array) -> str:
    """Return the end of an error's line: what to do with labels (N, K)."""
    if ((labels != 0).sum(axis=1) == 1).all():
        return f", as `task: {SINGLE.name}` takes; each row has one 1, so that `labels.argmax(axis=1)` gives them"
    return f", as `task: {SINGLE.name}` takes; `task: {SEVERAL.name}` takes a column for each label"


def as_text(name: str, column: Array) -> Array:
    """Return text, UTF-8 bytes or whole numbers (N,) as text; DataError if they are none of these."""
    if column.dtype.kind == "S":
        try:
            return np.char.decode(column, "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{name} is bytes that are no UTF-8") from None
    if column.dtype.kind not in "Uiub":
        raise DataError(f"{name} is {column.dtype} {column.shape}, not text or whole numbers (N,)")
    return column.astype(str)


def check_lengths(arrays: dict[str, Array]) -> None:
    """Check that every column has one value for each image of its split: a shift would go unseen in the totals.

    Raises:
        DataError: one has not.
    """
    for split in splits_of(arrays):
        count = len(arrays[f"{split}_images"])
        for name in (name for name in arrays if name.startswith(f"{split}_")):
            if arrays[name].shape[:1] != (count,):
                length = arrays[name].shape[0] if arrays[name].ndim else "one"
                raise DataError(f"{name} holds {length} values for {count} images, not one for each image")


def join_groups(arrays: dict[str, Array]) -> Array | None:
    """Return the patient of each image (N,), None if the file has none; DataError if only some splits have."""
    splits = splits_of(arrays)
    parts = [arrays[f"{split}_groups"] for split in splits if f"{split}_groups" in arrays]
    if not parts:
        return None
    if len(parts) < len(splits):
        raise DataError("groups must be given for every image of every split, or not at all")
    if any(part.ndim != 1 for part in parts):
        raise DataError(f"groups are {[part.shape for part in parts]}, not one patient (N,) for each image")
    return np.concatenate(parts)


def folds_from_columns(arrays: dict[str, Array]) -> tuple[Fold, ...] | None:
    """Return the folds by the columns that say in which fold an image is held out; None without these columns.

    Raises:
        DataError: only one column is there, or it holds no whole numbers of 0 or more.
    """
    columns = {name: arrays[name] for name in FOLD_COLUMNS if name in arrays}
    if not columns:
        return None
    if len(columns) < len(FOLD_COLUMNS):
        raise DataError("a fold must be given for every image of train and of val, or not at all")
    for name, column in columns.items():
        if column.ndim != 1 or column.dtype.kind not in "iu" or (column < 0).any():
            raise DataError(f"{name} is {column.dtype} {column.shape}, not whole numbers (N,) of 0 or more")
    folds = np.concatenate([column.astype(np.int64) for column in columns.values()])
    return tuple(
        Fold(np.flatnonzero(folds != number), np.flatnonzero(folds == number)) for number in np.unique(folds)
    )


def join_subgroups(arrays: dict[str, Array]) -> dict[str, Array]:
    """Return the columns (N,) of subgroups as text, by name; DataError if a split lacks one."""
    columns, splits = {}, splits_of(arrays)
    for name in sorted({name.partition(SUBGROUP)[2] for name in arrays if SUBGROUP in name}):
        parts = [arrays[f"{s}{SUBGROUP}{name}"] for s in splits if f"{s}{SUBGROUP}{name}" in arrays]
        if len(parts) < len(splits) or any(part.ndim != 1 for part in parts):
            raise DataError(f"subgroup '{name}' must have one value for each image of every split")
        columns[name] = np.concatenate([as_text(f"subgroup '{name}'", part) for part in parts])
    return columns


def choose_class_names(
    path: Path, arrays: dict[str, Array], labels: Array, given: tuple[str, ...] | None
) -> tuple[tuple[str, ...], str]:
    """Return the class names, and a note that says whose they are; DataError if the file's are no list of text."""
    count = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1 if len(labels) else 0
    if given:
        return given, "class names: MedMNIST's"
    if "class_names" in arrays:
        names = arrays["class_names"]
        if names.ndim != 1 or names.dtype.kind not in "SU":
            raise DataError(f"class_names is {names.dtype} {names.shape}, not a list of names")
        return tuple(map(str, as_text("class_names", names).tolist())), "class names: the file's own"
    flag = path.stem.partition("_")[0]
    if flag in medmnist.FLAT_SETS and len(medmnist.class_names(flag)) == count:
        return medmnist.class_names(flag), f"class names: MedMNIST's for {flag}, by the file's name"
    return tuple(map(str, range(count))), "class names: none in the file, so numbers"
