"""Profile: counts of what a source holds: classes by split, sizes, channels, formats, brightness."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from medray._types import Array
from medray.audit.survey import Survey
from medray.data.listing.listing import BLANK, SEVERAL, counted_as
from medray.data.members import UNKNOWN
from medray.data.similarity.measures import LOOKS, Measures
from medray.json_document import JsonDocument
from medray.text import natural_key

NO_SPLIT = "(no split)"
NO_LABEL, ONE, UNSURE = "(none)", "(one)", "(uncertain)"
GREY, RGB, GREY_AS_RGB = "grey", "RGB", "grey stored as RGB"


@dataclass(frozen=True)
class Spread(JsonDocument):
    """The minimum, median and maximum of some numbers."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class Profile(JsonDocument):
    """What a source holds.

    `counts` are images by class, BLANK or SEVERAL, in each of `splits`. Where images have several labels, they
    count in each of these, and `sets` are the images of NO_LABEL, ONE or SEVERAL labels, or of UNSURE ones alone.
    `rows` are a table's rows by label, also those without a file. `sizes` are images by `height x width`, the most
    frequent first; `channels`, `formats` and `bits` count images by those. `height`, `width` and `looks` are of
    readable images. `two_valued` counts those of two grey levels: masks, or drawings.
    """

    source: str
    images: int
    patients: int | None
    folds: int | None
    splits: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
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
    two_valued: int
    ignored: int
    notes: tuple[str, ...]
    sets: dict[str, tuple[int, ...]] = field(default_factory=dict)


def profile_survey(survey: Survey) -> Profile:
    """Return the profile of a survey."""
    measures, readable = survey.measures, survey.measures.readable
    splits = (*survey.split_names, *([NO_SPLIT] if None in survey.splits else []))
    counts, sets = count_labels(survey, splits), count_sets(survey, splits)
    return Profile(
        source=survey.source,
        images=len(survey),
        patients=len({*survey.patients} - {None}) or None,
        folds=None if survey.folds is None else len(survey.folds),
        splits=splits,
        counts=counts,
        rows=dict(sorted(survey.rows.items(), key=lambda row: (-row[1], natural_key(row[0])))),
        height=_spread(measures.height[readable]),
        width=_spread(measures.width[readable]),
        sizes={f"{height} x {width}": count for (height, width), count in count_sizes(measures).most_common()},
        channels=count_channels(survey.measures),
        formats=_frequent(name or "unknown" for name in measures.format.tolist()) if survey.from_files else {},
        bits=_frequent(str(bits) if bits else "unknown" for bits in measures.bits[readable].tolist()),
        looks={name: spread for name in LOOKS if (spread := _spread(getattr(measures, name)[readable]))},
        blank=sum(counts.get(BLANK, [])),
        multiple=sum(counts.get(SEVERAL, sets.get(SEVERAL, []))),
        missing=len(survey.missing),
        unreadable=int((~readable).sum()),
        two_valued=int((measures.levels == 2).sum()),
        ignored=len(survey.ignored),
        notes=survey.notes,
        sets=sets,
    )


def _frequent(words: Iterable[str]) -> dict[str, int]:
    """Count equal words, the most frequent first."""
    return dict(Counter(words).most_common())


def count_labels(survey: Survey, splits: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Count the images of each class in each split, and where there are any, those of no or several labels.

    Of label sets, an image counts in each of its labels.
    """
    blank = set(survey.blank_images)
    counts = Counter(
        (name, split or NO_SPLIT)
        for image, (labels, split) in enumerate(zip(survey.labels, survey.splits, strict=True))
        for name in ([BLANK] if image in blank else {*labels} if survey.label_sets else [counted_as(labels)])
    )
    by_split = {
        name: tuple(counts[name, split] for split in splits) for name in (*survey.class_names, BLANK, SEVERAL)
    }
    return {name: row for name, row in by_split.items() if sum(row) or name in survey.class_names}


def count_sets(survey: Survey, splits: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Count the images of no, one and several labels in each split; empty unless there are label sets.

    A label that means none is none; images of which the source says nothing are left out.
    """
    if not survey.label_sets:
        return {}
    answers = survey.answers()
    if survey.none_label is not None:
        answers[:, survey.class_names.index(survey.none_label)] = 0
    labels, unsure = (answers == 1).sum(axis=1), (answers == UNKNOWN).any(axis=1)
    kinds = {NO_LABEL: (labels == 0) & ~unsure, ONE: labels == 1, SEVERAL: labels > 1,
             UNSURE: (labels == 0) & unsure}  # fmt: skip
    listed = np.ones(len(survey), dtype=bool)
    listed[list(survey.unlabelled)] = False
    side = np.array([split or NO_SPLIT for split in survey.splits])
    counts = {
        kind: tuple(int((of_kind & listed & (side == split)).sum()) for split in splits)
        for kind, of_kind in kinds.items()
    }
    return {kind: row for kind, row in counts.items() if sum(row) or kind != UNSURE}


def count_sizes(measures: Measures) -> Counter[tuple[int, int]]:
    """Count the readable images by height and width."""
    sizes = (measures.height, measures.width)
    return Counter(zip(*(side[measures.readable].tolist() for side in sizes), strict=True))


def count_channels(measures: Measures) -> dict[str, int]:
    """Count the readable images that are GREY, RGB and GREY_AS_RGB; those without an image are left out."""
    images = {
        GREY: measures.readable & (measures.channels == 1),
        RGB: measures.readable & (measures.channels == 3) & ~measures.grey_as_rgb,
        GREY_AS_RGB: measures.grey_as_rgb,
    }
    return {name: int(column.sum()) for name, column in images.items() if column.any()}


def _spread(values: Array) -> Spread | None:
    if not len(values):
        return None
    return Spread(float(values.min()), float(np.median(values)), float(values.max()))
