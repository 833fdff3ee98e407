"""Facts: what can be said of each image without looking at what it shows, one value each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np

from medray._types import Array
from medray.audit.findings import FactKind
from medray.audit.shortcuts.file_facts import FileMeasures
from medray.audit.shortcuts.name_facts import folder_names, name_lengths, name_numbers, name_patterns
from medray.audit.survey import Survey
from medray.data.similarity.measures import black_share

SOURCE, FORM, LOOK = FACT_KINDS = get_args(FactKind)

BRIGHT = 253  # grey level: at least that of a pixel which counts as white
_DATED = re.compile(r"date|year|acquired", re.IGNORECASE)
_YEAR_FIRST = re.compile(r"((?:19|20)\d{2})(?:[-:./]?(0?[1-9]|1[0-2])(?:[-:./]?(\d{1,2}))?)?(?:[ T].*)?")
_YEAR_LAST = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]((?:19|20)\d{2})(?: .*)?")
MOSTLY = 0.9  # of the filled cells of a column that is read as numbers or dates
FEW_VALUES = 8  # numbers of a column, at most, that are taken as names of sites or scanners


@dataclass(frozen=True)
class Fact:
    """One fact of n images: `values` (n,) are float64, NaN where not known, or text, empty where not known.

    `unit` is written behind a number; "date" means numbers YYYYMMDD.
    """

    name: str
    kind: FactKind
    values: Array
    unit: str = ""

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers, of which ranges are taken, and not names."""
        return self.values.dtype.kind == "f"


def list_facts(survey: Survey, images: Array) -> list[Fact]:
    """Return the facts of the images at `images` (m,), without those that are alike in all of them."""
    return [fact for fact in _all_facts(survey, images) if len(np.unique(fact.values)) > 1]


def _all_facts(survey: Survey, images: Array) -> Iterator[Fact]:
    measures = survey.measures.at(images)
    names = [survey.paths[image] for image in images.tolist()] if survey.paths else []
    if names:
        yield Fact("folder", SOURCE, folder_names(names, survey.class_names))
        yield Fact("file name", SOURCE, name_patterns(names, survey.class_names))
        lengths = name_lengths(names, survey.class_names)
        if lengths is not None:
            yield Fact("length of the file name", SOURCE, lengths, "characters")
        numbers = name_numbers(names, [survey.labels[image] for image in images.tolist()])
        if numbers is not None:
            yield Fact("number in the file name", SOURCE, numbers)
    if isinstance(measures, FileMeasures):
        yield Fact("date in the file", SOURCE, date_numbers(measures.date), "date")
        for name in ("device", "station", "view"):
            yield Fact(f"{name} in the file", SOURCE, getattr(measures, name))
    for name, cells in survey.columns.items():
        yield column_fact(name, np.array([cells[image] for image in images.tolist()]))
    height, width = measures.height.astype(float), measures.width.astype(float)
    yield Fact("width", FORM, width, "px")
    yield Fact("height", FORM, height, "px")
    yield Fact("width / height", FORM, width / height)
    if isinstance(measures, FileMeasures):
        yield Fact("format", FORM, measures.format)
        yield Fact("suffix", FORM, np.array([_suffix(name) for name in names]))
        yield Fact("mode", FORM, measures.mode)
        yield Fact("bits of a channel", FORM, measures.bits.astype(float))
        yield Fact("JPEG quality", FORM, np.where(measures.quality > 0, measures.quality, np.nan))
        yield Fact("file size", FORM, measures.bytes / 1000, "kB")
        yield Fact("file size per pixel", FORM, measures.bytes / (height * width), "bytes")
    else:
        yield Fact("channels", FORM, measures.channels.astype(float))
    yield Fact("mean alpha", FORM, 100 * measures.opacity.astype(float), "%")
    yield from _looks(measures.thumbnail, measures.brightness, measures.contrast)


def _looks(thumbnails: Array, brightness: Array, contrast: Array) -> Iterator[Fact]:
    """Yield what pixels look like; `thumbnails` are uint8 (m, 32, 32)."""
    ring = np.concatenate(
        [thumbnails[:, 0], thumbnails[:, -1], thumbnails[:, 1:-1, 0], thumbnails[:, 1:-1, -1]], axis=1
    )
    yield Fact("brightness of the border", LOOK, ring.mean(axis=1), "of 255")
    yield Fact("contrast of the border", LOOK, ring.std(axis=1))
    yield Fact("brightness", LOOK, brightness.astype(float), "of 255")
    yield Fact("contrast", LOOK, contrast.astype(float))
    yield Fact("black pixels", LOOK, 100 * black_share(thumbnails), "%")
    yield Fact("white pixels", LOOK, 100 * (thumbnails >= BRIGHT).mean(axis=(1, 2)), "%")


def _suffix(name: str) -> str:
    base, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix}" if base and dot and len(suffix) <= 5 else ""


def column_fact(name: str, cells: Array) -> Fact:
    """Return the fact of a table's column from its cells (m,): dates, numbers, or names."""
    fact, filled = f"column '{name}'", cells != ""
    if _DATED.search(name):
        dates = date_numbers(cells)
        if filled.any() and np.isfinite(dates[filled]).mean() >= MOSTLY:
            return Fact(fact, SOURCE, dates, "date")
    numbers = np.array([_number(cell) for cell in cells.tolist()])
    if filled.any() and np.isfinite(numbers[filled]).mean() >= MOSTLY:
        known = numbers[np.isfinite(numbers)]
        if len(np.unique(known)) > FEW_VALUES:
            return Fact(fact, SOURCE, numbers)
    return Fact(fact, SOURCE, cells)


def date_numbers(cells: Array) -> Array:
    """Return dates (m,) as numbers YYYYMMDD, float64, NaN where a cell is none.

    Where the order of day and month is not clear, they are 0: the year is known.
    """
    return np.array([_date(cell) for cell in cells.tolist()], dtype=float)


def _date(cell: str) -> float:
    if match := _YEAR_FIRST.fullmatch(cell):
        year, month, day = (int(part or 0) for part in match.groups())
        return float(10000 * year + 100 * month + day)
    match = _YEAR_LAST.fullmatch(cell)
    return 10000.0 * int(match[1]) if match else np.nan


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan
