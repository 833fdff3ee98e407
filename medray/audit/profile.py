"""Profile: what a source holds, in numbers: classes by split, sizes, channels, formats, looks."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medray._types import Array
from medray.audit.survey import Survey
from medray.data.listing.listing import BLANK, SEVERAL, counted_as
from medray.data.similarity.measures import LOOKS

NO_SPLIT = "(no split)"


@dataclass(frozen=True)
class Spread:
    """The least, the median and the greatest of some numbers."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class Profile:
    """What a source holds.

    `counts` are images by class, or BLANK or SEVERAL, and by split, in the order of `splits`. `rows` are a table's
    rows by label, those without a file too, the most frequent first. `sizes` are images by `height x width`, the
    most frequent first. `channels`, `formats` and `bits` count images by those; numbers are of readable images.
    """

    source: str
    images: int
    patients: int | None
    folds: int | None
    splits: tuple[str, ...]
    counts: dict[str, list[int]]
    rows: dict[str, int]
    height: Spread | None
    width: Spread | None
    sizes: dict[str, int]
    channels: dict[str, int]
    formats: dict[str, int]
    bits: dict[str, int]
    looks: dict[str, Spread]
    blank: int
    multiple: int
    missing: int
    unreadable: int
    ignored: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a JSON file."""
        return asdict(self) | {"splits": list(self.splits), "notes": list(self.notes)}


def profile(survey: Survey) -> Profile:
    """Count what a survey has seen."""
    measures, readable = survey.measures, survey.measures.readable
    sizes = [f"{h} x {w}" for h, w in zip(measures.height[readable], measures.width[readable], strict=True)]
    known = {own for own in survey.patients if own is not None}
    splits = (*survey.split_names, *([NO_SPLIT] if None in survey.splits else []))
    counts = _counts(survey, splits)
    return Profile(
        source=survey.source,
        images=len(survey),
        patients=len(known) or None,
        folds=None if survey.folds is None else len(survey.folds),
        splits=splits,
        counts=counts,
        rows=_rows(survey),
        height=_spread(measures.height[readable]),
        width=_spread(measures.width[readable]),
        sizes=_frequent(sizes),
        channels=_channels(survey),
        formats=_frequent(own or "unknown" for own in measures.format.tolist()) if survey.files else {},
        bits=_frequent(str(own) if own else "unknown" for own in measures.bits[readable].tolist()),
        looks={name: found for name in LOOKS if (found := _spread(getattr(measures, name)[readable]))},
        blank=sum(counts.get(BLANK, [])),
        multiple=sum(counts.get(SEVERAL, [])),
        missing=len(survey.missing),
        unreadable=int((~readable).sum()),
        ignored=len(survey.ignored),
        notes=survey.notes,
    )


def _frequent(words: Iterable[str]) -> dict[str, int]:
    """Count words, the most frequent first."""
    return dict(Counter(words).most_common())


def _counts(survey: Survey, splits: tuple[str, ...]) -> dict[str, list[int]]:
    found = Counter(
        (counted_as(own), split or NO_SPLIT) for own, split in zip(survey.labels, survey.splits, strict=True)
    )
    words = [*survey.class_names, BLANK, SEVERAL]
    counts = {word: [found[word, split] for split in splits] for word in words}
    return {word: own for word, own in counts.items() if sum(own) or word in survey.class_names}


def _rows(survey: Survey) -> dict[str, int]:
    return dict(sorted(survey.rows.items(), key=lambda row: (-row[1], row[0])))


def _channels(survey: Survey) -> dict[str, int]:
    measures = survey.measures
    grey = measures.readable & (measures.channels == 1)
    colours = measures.readable & (measures.channels == 3) & ~measures.grey_as_rgb
    named = {"grey": grey, "RGB": colours, "grey stored as RGB": measures.grey_as_rgb}
    return {name: int(own.sum()) for name, own in named.items() if own.any()}


def _spread(values: Array) -> Spread | None:
    if not len(values):
        return None
    return Spread(float(values.min()), float(np.median(values)), float(values.max()))
