"""A source of images -> Survey. Every file is read once, by threads on all cores; only thumbnails are kept."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array, Progress, silent
from medray.audit.survey import Survey
from medray.data.dataset import ImageDataset
from medray.data.decoding import ImageError, decode, sniff
from medray.data.listing.list_source import KINDS, list_source
from medray.data.listing.listing import ListedImage, Listing
from medray.data.similarity.measures import (
    CHUNK,
    LOOKS,
    SIDE,
    Measures,
    measure,
    measure_chunks,
    measure_images,
    report_parts,
)
from medray.data.sources import load_data
from medray.errors import DataError


def open_source(source: str, *, seed: int = 0) -> Listing | ImageDataset:
    """Open what `--data` may name: a listing of files in folders, of a table or of DICOM, or an array of images.

    Raises:
        DataError: there is no such source, or it can't be had.
    """
    if source.partition(":")[0] in KINDS:
        return list_source(source)
    return load_data(source, seed=seed)


def survey_source(opened: Listing | ImageDataset, progress: Progress = silent) -> Survey:
    """Survey either; `progress` is told how many images of how many have been read.

    Raises:
        DataError: there is no image.
    """
    if isinstance(opened, Listing):
        return survey(opened, progress)
    return survey_dataset(opened, progress)


def survey(listing: Listing, progress: Progress = silent) -> Survey:
    """Read and measure every image of a listing; what can't be read is kept, with the reason.

    Raises:
        DataError: the listing has no image.
    """
    if not len(listing):
        raise DataError(f"{listing.source}: no images")
    chunks = [listing.images[start : start + CHUNK] for start in range(0, len(listing), CHUNK)]
    parts = list(report_parts(measure_chunks(_read_chunk, chunks), len(listing), progress))
    return Survey(
        source=listing.source,
        files=True,
        names=tuple(one.where for one in listing.images),
        labels=tuple(one.labels for one in listing.images),
        splits=tuple(one.split for one in listing.images),
        patients=tuple(one.patient for one in listing.images),
        class_names=tuple(sorted({label for one in listing.images for label in one.labels})),
        measures=Measures.joined(parts),
        folds=listing.folds,
        missing=listing.missing,
        ignored=listing.ignored,
        notes=listing.notes,
        rows=listing.rows,
    )


def survey_dataset(dataset: ImageDataset, progress: Progress = silent) -> Survey:
    """Measure the images of a data set; each is named by its split and its place there, as `train[12]`."""
    splits: list[str | None] = [None] * len(dataset)
    names = [f"images[{place}]" for place in range(len(dataset))]
    for split, positions in dataset.splits.items():
        for place, position in enumerate(positions.tolist()):
            splits[position], names[position] = split, f"{split}[{place}]"
    groups: list[object] = [None] * len(dataset) if dataset.groups is None else dataset.groups.tolist()
    return Survey(
        source=dataset.source,
        files=False,
        names=tuple(names),
        labels=tuple((dataset.class_names[label],) for label in dataset.labels.tolist()),
        splits=tuple(splits),
        patients=tuple(_patient(own) for own in groups),
        class_names=dataset.class_names,
        measures=measure_images(dataset.images, progress),
        folds=dataset.folds,
        notes=dataset.notes,
    )


def _patient(group: object) -> str | None:
    """The patient, or None where the data set leaves it blank."""
    return None if str(group).lower() in ("", "none", "nan") else str(group)


@dataclass(frozen=True)
class _Read:
    """One file: its hash and, if it could be read, what it is."""

    sha256: str = ""
    format: str = ""
    problem: str = ""
    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0


def _read_chunk(images: Sequence[ListedImage]) -> Measures:
    pixels = np.zeros((len(images), SIDE, SIDE, 3), np.uint8)
    read = [_read(one, place) for one, place in zip(images, pixels, strict=True)]
    columns = {name: np.array([getattr(one, name) for one in read]) for name in _Read.__dataclass_fields__}
    return _measures(columns, pixels)


def _read(image: ListedImage, into: Array) -> _Read:
    """Read a file's pixels `into` uint8 (64, 64, 3)."""
    try:
        content = image.path.read_bytes()
    except OSError as error:
        return _Read(problem=_unopened(error))
    digest, name = hashlib.sha256(content).hexdigest(), sniff(content) or ""
    try:
        decoded = decode(content, (SIDE, SIDE, 3))
        bits = _bits(content, decoded.format)
    except ImageError as error:
        return _Read(digest, name, str(error))
    into[:] = decoded.pixels
    channels = 1 if "colourised" in decoded.notes else 3
    return _Read(digest, name, "", *decoded.upright, channels, bits)


def _unopened(error: OSError) -> str:
    return f"the file can't be opened: {error.strerror or type(error).__name__}"


def _bits(content: bytes, name: str) -> int:
    """Bits of each channel where the header says so in one place, else 0."""
    if name == "png":
        return content[24]
    if name == "jpeg":
        return 8
    if name == "dicom":
        from medray.data.decoding import MAX_PIXELS
        from medray.data.decoding.dicom_header import read_header

        header = read_header(content, MAX_PIXELS)[1]
        return header.number("BitsStored", header.number("BitsAllocated"))  # as the decoder takes it
    return 0


def _measures(columns: dict[str, Array], pixels: Array) -> Measures:
    found = measure(pixels)
    unread = columns["problem"] != ""
    for name in LOOKS:
        found[name][unread] = np.nan
    equal = (pixels[..., 0] == pixels[..., 1]) & (pixels[..., 1] == pixels[..., 2])
    grey = equal.all(axis=(1, 2)) & (columns["channels"] == 3)
    return Measures(**columns, **found, grey_as_rgb=grey)


def pictures(opened: Listing | ImageDataset, chosen: Sequence[int], side: int) -> list[Array]:
    """Return images uint8 (H, W, C): files with `side` pixels along their longer side, others as they are.

    Raises:
        DataError: a file can't be read any more.
    """
    if isinstance(opened, ImageDataset):
        return [opened.images[place] for place in chosen]
    return [_picture(opened.images[place], side) for place in chosen]


def _picture(image: ListedImage, side: int) -> Array:
    try:
        content = image.path.read_bytes()
    except OSError as error:
        raise DataError(f"{image.where}: {_unopened(error)}") from None
    try:
        height, width = decode(content, (8, 8, 3)).upright
        scale = side / max(height, width)
        return decode(content, (max(1, round(height * scale)), max(1, round(width * scale)), 3)).pixels
    except ImageError as error:
        raise DataError(f"{image.where}: {error}") from None
