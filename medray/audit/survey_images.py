"""Source -> Survey: every file is read once, by threads on all cores, and only thumbnails are kept."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path

import numpy as np

from medray._types import Array, Progress, silent
from medray.audit.shortcuts.file_facts import FileFacts, FileMeasures, read_file_facts
from medray.audit.survey import ImageRecords, Survey
from medray.data.dataset import ImageDataset
from medray.data.decoding import MAX_PIXELS, ImageError, decode, sniff
from medray.data.label_sets import has_label_sets, says_nothing
from medray.data.listing.list_source import list_source
from medray.data.listing.listing import ListedImage, Listing
from medray.data.load_data import load_data
from medray.data.members import UNKNOWN
from medray.data.similarity.measures import CHUNK, LOOKS, SIDE, measure, measure_all, measure_chunks
from medray.data.source import Source, parse_source
from medray.errors import DataError, unknown_choice_line
from medray.stats.case_rule import BY_PATIENT
from medray.stats.patients import is_missing
from medray.text import natural_order


def open_source(source: str | Source, *, seed: int = 0) -> Listing | ImageDataset:
    """Open what `--data` may name: a listing of files in folders, of a table or of DICOM, or an array of images.

    Raises:
        DataError: there is no such source, or it can't be had.
    """
    source = parse_source(source) if isinstance(source, str) else source
    return list_source(source) if source.is_listed else load_data(source, seed=seed)


def survey_source(opened: Listing | ImageDataset, progress: Progress = silent) -> Survey:
    """Survey a listing or a data set; `progress` reports how many images have been read.

    Raises:
        DataError: there is no image.
    """
    if isinstance(opened, Listing):
        return survey_files(opened, progress)
    return survey_dataset(opened, progress)


def survey_files(listing: Listing, progress: Progress = silent) -> Survey:
    """Read and measure every image of a listing; an unreadable one is kept, with the reason.

    Raises:
        DataError: the listing has no image.
    """
    if not len(listing):
        raise DataError(f"{listing.source}: no images")
    labels = tuple(image.labels for image in listing.images)
    label_sets = has_label_sets(labels)
    if not label_sets:
        labels = tuple(() if image.uncertain else image.labels for image in listing.images)
    unlabelled = [says_nothing(image, class_columns=listing.class_columns) for image in listing.images]
    chunks = [listing.images[start : start + CHUNK] for start in range(0, len(listing), CHUNK)]
    return Survey(
        source=listing.source,
        names=tuple(image.where for image in listing.images),
        labels=labels,
        splits=tuple(image.split for image in listing.images),
        patients=tuple(image.patient for image in listing.images),
        class_names=tuple(natural_order({label for image in listing.images for label in image.labels})),
        measures=measure_chunks(_measure_files, chunks, len(listing), progress),
        from_files=True,
        paths=tuple(_path_below(listing.root, image.path) for image in listing.images),
        columns=_list_columns(listing.images),
        folds=listing.folds,
        missing=listing.missing,
        ignored=listing.ignored,
        notes=listing.notes,
        rows=listing.rows,
        class_columns=listing.class_columns,
        read_as_blank=listing.read_as_blank,
        label_sets=label_sets,
        uncertain=tuple(image.uncertain for image in listing.images),
        unlabelled=tuple(np.flatnonzero(unlabelled).tolist()),
    )


def describe_dataset(dataset: ImageDataset) -> ImageRecords:
    """Return the records of a data set's images, each named by its split and its index in it, as `train[12]`."""
    splits: list[str | None] = [None] * len(dataset)
    names = [f"images[{position}]" for position in range(len(dataset))]
    for split, positions in dataset.splits.items():
        for index, position in enumerate(positions.tolist()):
            splits[position], names[position] = split, f"{split}[{index}]"
    groups = [""] * len(dataset) if dataset.groups is None else [str(group) for group in dataset.groups.tolist()]
    patients = tuple(None if is_missing(group) else group for group in groups)
    return ImageRecords(
        source=dataset.source,
        names=tuple(names),
        labels=dataset.label_names,
        splits=tuple(splits),
        patients=patients,
        class_names=dataset.class_names,
        cases=cases_by(dataset.case_rule.by, patients, dataset.subgroups) if dataset.case_rule else (),
        folds=dataset.folds,
        notes=dataset.notes,
        label_sets=dataset.has_label_sets,
        uncertain=_uncertain_names(dataset),
    )


def _uncertain_names(dataset: ImageDataset) -> tuple[tuple[str, ...], ...]:
    """Return the labels that each image of a data set may have; empty where each is of one class."""
    if not dataset.has_label_sets:
        return ()
    return tuple(tuple(dataset.class_names[i] for i in np.flatnonzero(row == UNKNOWN)) for row in dataset.labels)


def cases_by(
    by: str, patients: Sequence[str | None], columns: Mapping[str, Iterable[object]]
) -> tuple[str | None, ...]:
    """Return the case of each image by a column, with its patient where known; nothing by patient.

    Raises:
        DataError: there is no such column.
    """
    if by == BY_PATIENT:
        return ()
    if by not in columns:
        raise DataError(unknown_choice_line("column", by, columns))
    pairs = zip(columns[by], patients, strict=True)
    return tuple(
        None if is_missing(value) else f"{value} of {patient}" if patient else str(value)
        for value, patient in pairs
    )


def survey_dataset(dataset: ImageDataset, progress: Progress = silent) -> Survey:
    """Measure the images of a data set."""
    records = vars(describe_dataset(dataset))
    return Survey(**records, measures=measure_all(dataset.images, progress), from_files=False)


def _path_below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _list_columns(images: Sequence[ListedImage]) -> dict[str, tuple[str, ...]]:
    """Return the cells of the subgroups and of the origin of all images, by column."""
    cells = [{**image.origin, **image.subgroups} for image in images]
    return {name: tuple(row.get(name, "") for row in cells) for name in dict.fromkeys(chain.from_iterable(cells))}


@dataclass(frozen=True)
class _ReadFile(FileFacts):
    """The columns of FileMeasures that are not measured: 0 or empty where the file can't be read."""

    sha256: str = ""
    format: str = ""
    problem: str = ""
    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0
    opacity: float = 0.0
    levels: int = 0


def _measure_files(images: Sequence[ListedImage]) -> FileMeasures:
    pixels = np.zeros((len(images), SIDE, SIDE, 3), np.uint8)
    files = [_read_file(image, target) for image, target in zip(images, pixels, strict=True)]
    columns = {field.name: np.array([getattr(file, field.name) for file in files]) for field in fields(_ReadFile)}
    measured = measure(pixels)
    for name in LOOKS:
        measured[name][columns["problem"] != ""] = np.nan
    grey = (pixels == pixels[..., :1]).all(axis=(1, 2, 3)) & (columns["channels"] == 3)
    return FileMeasures(**columns, **measured, grey_as_rgb=grey)


def _read_file(image: ListedImage, target: Array) -> _ReadFile:
    """Decode a file into `target`, uint8 (64, 64, 3)."""
    try:
        content = image.path.read_bytes()
    except OSError as error:
        return _ReadFile(problem=_open_problem(error))
    digest, name = hashlib.sha256(content).hexdigest(), sniff(content) or ""
    try:
        decoded = decode(content, (SIDE, SIDE, 3))
        bits = _bits_per_channel(content, decoded.format)
    except ImageError as error:
        return _ReadFile(sha256=digest, format=name, problem=str(error))
    target[:] = decoded.pixels
    channels = 1 if "colourised" in decoded.notes else 3
    height, width = decoded.upright
    return _ReadFile(
        sha256=digest, format=name, height=height, width=width, channels=channels, bits=bits,
        opacity=decoded.opacity, levels=decoded.levels,
        **vars(read_file_facts(content, decoded.format, channels, decoded.notes)),
    )  # fmt: skip


def _open_problem(error: OSError) -> str:
    return f"the file can't be opened: {error.strerror or type(error).__name__}"


def _bits_per_channel(content: bytes, name: str) -> int:
    """Return the bits of each channel where the header of a format states them in one place, else 0."""
    if name == "png":
        return content[24]
    if name == "jpeg":
        return 8
    if name == "dicom":
        from medray.data.decoding.dicom_header import read_dicom_header

        header = read_dicom_header(content, MAX_PIXELS)
        return header.number("BitsStored", header.number("BitsAllocated"))  # as the decoder takes it
    return 0


def load_images(opened: Listing | ImageDataset, positions: Sequence[int], side: int) -> list[Array]:
    """Return images uint8 (H, W, C): files with `side` pixels along their longer side, others as they are.

    Raises:
        DataError: a file can't be read any more.
    """
    if isinstance(opened, ImageDataset):
        return [opened.images[position] for position in positions]
    images = []
    for image in (opened.images[position] for position in positions):
        try:
            content = image.path.read_bytes()
            height, width = decode(content, (8, 8, 3)).upright
            scale = side / max(height, width)
            shape = (max(1, round(height * scale)), max(1, round(width * scale)), 3)
            images.append(decode(content, shape).pixels)
        except (OSError, ImageError) as error:
            problem = _open_problem(error) if isinstance(error, OSError) else error
            raise DataError(f"{image.where}: {problem}") from None
    return images
