"""Read an .npz file of MedMNIST's form as an ImageDataset."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from medray._types import Array
from medray.data.arrays import medmnist
from medray.data.dataset import Fold, ImageDataset
from medray.data.listing.listing import SPLITS
from medray.errors import DataError, not_found_line

OPTIONAL = ("class_names", "train_groups", "val_groups", "test_groups", "train_fold", "val_fold")


SUBGROUP = "_subgroup_"  # train_subgroup_sex, val_subgroup_sex, test_subgroup_sex


def read_npz(path: Path, *, source: str, class_names: tuple[str, ...] | None = None) -> ImageDataset:
    """Read a file of MedMNIST's form.

    Class names are the ones given, or the file's own `class_names`, or MedMNIST's where the file is named as
    one of its sets and has as many classes, or else the numbers; `notes` says which.

    Raises:
        DataError: the file is missing, damaged, or lacks an array.
    """
    arrays = _arrays(path)
    images = [_images(path, name, arrays[f"{name}_images"]) for name in SPLITS]
    labels = [_labels(path, name, arrays[f"{name}_labels"]) for name in SPLITS]
    for name in SPLITS:
        _check_lengths(path, name, arrays)
    shapes = {name: part.shape[1:] for name, part in zip(SPLITS, images, strict=True)}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{path}: images differ in shape from split to split: {shapes}")
    ends = np.cumsum([0, *map(len, images)])
    every_label = np.concatenate(labels)
    names, note = _class_names(path, arrays, every_label, class_names)
    return ImageDataset(
        images=np.concatenate(images),
        labels=every_label,
        class_names=names,
        splits={name: np.arange(ends[i], ends[i + 1]) for i, name in enumerate(SPLITS)},
        source=source,
        groups=_groups(path, arrays),
        notes=(note,),
        folds=_folds(path, arrays),
        subgroups=_subgroups(path, arrays),
    )


def _arrays(path: Path) -> dict[str, Array]:
    needed = [f"{split}_{part}" for split in SPLITS for part in ("images", "labels")]
    if not path.is_file():
        raise DataError(not_found_line("file", path))
    try:
        with path.open("rb") as opened, zipfile.ZipFile(opened) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            for name in needed:
                if name not in held:
                    raise DataError(f"{path}: lacks the array '{name}'; it holds: {', '.join(held) or 'none'}")
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as file:
                wanted = [*needed, *OPTIONAL, *(name for name in held if SUBGROUP in name)]
                return {name: file[name] for name in wanted if name in held}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: can't be read as .npz: {' '.join(str(error).split())}") from None


def _images(path: Path, split: str, images: Array) -> Array:
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"{path}: {split}_images is {images.dtype} {images.shape}, not uint8 (N, H, W) or (N, H, W, C)"
        )
    return images[..., None] if images.ndim == 3 else images


def _labels(path: Path, split: str, labels: Array) -> Array:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {split}_labels is {labels.dtype} {labels.shape}, not whole numbers (N,) or (N, 1): one "
            "class for each image"
        )
    return labels.astype(np.int64)


def _check_lengths(path: Path, split: str, arrays: dict[str, Array]) -> None:
    """Labels and groups must be those of the split's own images: a shift would go unseen in the totals."""
    count = len(arrays[f"{split}_images"])
    for name in (n for n in arrays if n.startswith(f"{split}_") and n != f"{split}_images"):
        if arrays[name].shape[:1] != (count,):
            found = arrays[name].shape[0] if arrays[name].ndim else "one"
            raise DataError(f"{path}: {name} holds {found} values for {count} images, not one for each image")


def _groups(path: Path, arrays: dict[str, Array]) -> Array | None:
    parts = [arrays[f"{split}_groups"] for split in SPLITS if f"{split}_groups" in arrays]
    if not parts:
        return None
    if len(parts) < len(SPLITS):
        raise DataError(f"{path}: groups must be given for every image of every split, or not at all")
    if any(part.ndim != 1 for part in parts):
        raise DataError(
            f"{path}: groups are {[part.shape for part in parts]}, not one patient (N,) for each image"
        )
    return np.concatenate(parts)


def _folds(path: Path, arrays: dict[str, Array]) -> tuple[Fold, ...] | None:
    """Ready-made folds from the columns that say in which fold an image is held out."""
    columns = [arrays[name] for name in ("train_fold", "val_fold") if name in arrays]
    if not columns:
        return None
    if len(columns) < 2:
        raise DataError(f"{path}: a fold must be given for every image of train and of val, or not at all")
    for name, column in zip(("train_fold", "val_fold"), columns, strict=True):
        if column.ndim != 1 or column.dtype.kind not in "iu" or (column < 0).any():
            raise DataError(
                f"{path}: {name} is {column.dtype} {column.shape}, not whole numbers (N,) of 0 or more"
            )
    fold = np.concatenate([column.astype(np.int64) for column in columns])
    return tuple(
        Fold(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in np.unique(fold)
    )


def _subgroups(path: Path, arrays: dict[str, Array]) -> dict[str, Array]:
    names = sorted({name.partition(SUBGROUP)[2] for name in arrays if SUBGROUP in name})
    columns = {}
    for name in names:
        parts = [arrays.get(f"{split}{SUBGROUP}{name}") for split in SPLITS]
        whole = [part for part in parts if part is not None and part.ndim == 1]
        if len(whole) < len(SPLITS):
            raise DataError(f"{path}: subgroup '{name}' must have one value for each image of every split")
        columns[name] = np.concatenate([_words(path, f"subgroup '{name}'", part) for part in whole])
    return columns


def _words(path: Path, what: str, column: Array) -> Array:
    """Names as text; numpy's own reading of bytes knows ASCII only."""
    if column.dtype.kind == "S":
        try:
            return np.char.decode(column, "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{path}: {what} is bytes that are no UTF-8") from None
    if column.dtype.kind not in "Uiub":
        raise DataError(f"{path}: {what} is {column.dtype} {column.shape}, not text or whole numbers (N,)")
    return column.astype(str)


def _text(path: Path, names: Array) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind not in "SU":
        raise DataError(f"{path}: class_names is {names.dtype} {names.shape}, not a list of names")
    return tuple(map(str, _words(path, "class_names", names).tolist()))


def _class_names(
    path: Path, arrays: dict[str, Array], labels: Array, given: tuple[str, ...] | None
) -> tuple[tuple[str, ...], str]:
    count = int(labels.max()) + 1 if len(labels) else 0
    if given:
        return given, "class names: MedMNIST's"
    if "class_names" in arrays:
        return _text(path, arrays["class_names"]), "class names: the file's own"
    flag = path.stem.partition("_")[0]
    if flag in medmnist.FLAT_SETS and len(medmnist.class_names(flag)) == count:
        return medmnist.class_names(flag), f"class names: MedMNIST's for {flag}, by the file's name"
    return tuple(map(str, range(count))), "class names: none in the file, so numbers"
