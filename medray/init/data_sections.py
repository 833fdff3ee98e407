"""The sections that say how files become a data set: images, labels and splits, each line with its reason."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from medray._types import Array
from medray.audit.findings import few
from medray.audit.profile import profile
from medray.audit.survey import Survey
from medray.data.listing.listing import SPLITS, TEST, VAL
from medray.errors import DataError
from medray.init.document import Line

SIDE, STEP, SMALLEST = 224, 8, 16  # pixels: the longest side, what sides are multiples of, the shortest one
ALIKE = 1.1  # ratios of sides that differ by less are stretched into one another without much harm
LEAST, FEWEST = 6, 3  # images of a class: two for each of three splits, or at the very least one
SMALL, LARGE_SHARE, SHARE = 300, 0.2, 0.15
MOST_NAMED = 8


def image_lines(survey: Survey) -> list[Line]:
    """Size, aspect, channels, and what becomes of files that can't be used.

    Raises:
        DataError: no image can be read.
    """
    readable = survey.measures.readable
    if not readable.any():
        first = f"{survey.names[0]}: {survey.measures.problem[0]}"
        raise DataError(f"{survey.source}: none of its {len(survey)} images can be read (first: {first})")
    heights, widths = survey.measures.height[readable], survey.measures.width[readable]
    size = common_size(heights, widths)
    lines = [_size(survey, size)]
    other = np.abs(np.log(widths / heights) - np.log(size[1] / size[0])) > np.log(ALIKE)
    if other.any():
        told = f"{other.sum():,} of {len(heights):,} have another shape: black borders, and nothing is stretched"
        lines.append(Line("aspect", "pad", told))
    return [*lines, _channels(survey), *_unusable(survey)]


def common_size(heights: Array, widths: Array) -> tuple[int, int]:
    """Height and width for images of `heights` and `widths` (n,): theirs, or the medians in multiples of 8.

    No side is longer than 224 pixels; those that almost make a square make one.
    """
    height, width = float(np.median(heights)), float(np.median(widths))
    if len(set(heights.tolist())) == len(set(widths.tolist())) == 1 and max(height, width) <= SIDE:
        return int(height), int(width)
    if max(height, width) / min(height, width) < ALIKE:
        height = width = max(height, width)
    scale = min(1.0, SIDE / max(height, width))
    first, second = (max(SMALLEST, STEP * round(side * scale / STEP)) for side in (height, width))
    return first, second


def _size(survey: Survey, size: tuple[int, int]) -> Line:
    counts = list(profile(survey).sizes.items())
    sides = [tuple(map(int, own.split(" x "))) for own, _ in counts]
    most = counts[0][0].replace(" x ", "×")
    if len(counts) == 1:
        told = f"all are {most}"
    elif 2 * counts[0][1] > sum(count for _, count in counts):
        told = f"{counts[0][1]} are {most}, others of {len(counts) - 1} other sizes"
    else:
        (low, narrow), (high, wide) = (map(at, zip(*sides, strict=True)) for at in (min, max))
        told = f"they are of {len(counts)} sizes, {low} to {high} high and {narrow} to {wide} wide"
    if size == sides[0] and len(counts) == 1:
        told += ", and stay so"
    elif max(size) == SIDE:
        told += f"; {SIDE} is what most published networks were made for, half of it takes a quarter of the time"
    return Line("image_size", size[0] if size[0] == size[1] else list(size), told)


def _channels(survey: Survey) -> Line:
    counts = profile(survey).channels
    grey, stored, colours = (counts.get(own, 0) for own in ("grey", "grey stored as RGB", "RGB"))
    if colours:
        more = f", {grey + stored:,} grey" if grey + stored else ""
        return Line("channels", 3, f"{colours:,} in colour{more}" if more else "all in colour")
    return Line("channels", 1, f"all grey, {stored} of them stored as RGB" if stored else "all grey")


def _unusable(survey: Survey) -> Iterator[Line]:
    unread = np.flatnonzero(~survey.measures.readable)
    if len(unread):
        first = f"{survey.names[unread[0]]}: {survey.measures.problem[unread[0]]}"
        yield Line("unreadable", "drop", f"{_count(len(unread), 'file')} can't be read, the first {first}")
    if survey.missing:
        rows = _count(len(survey.missing), "row")
        yield Line("missing", "drop", f"{rows} without a file, the first {survey.missing[0]}")


def label_lines(survey: Survey) -> list[Line]:
    """What becomes of blank labels, of several, and of classes that are too small to be divided.

    Raises:
        DataError: there are no two classes of three readable images.
    """
    lines = []
    blank = sum(not own for own in survey.labels)
    several = [own for own in survey.labels if len(set(own)) > 1]
    if blank:
        lines.append(Line("blank", "drop", f"{_count(blank, 'image')} without a label"))
    if several:
        told = f"{_count(len(several), 'image')} with several labels, such as {', '.join(several[0])}; or `first`"
        lines.append(Line("multiple", "drop", told))
    rare, least = rare_classes(survey)
    if rare:
        told = few([f"{name} ({count})" for name, count in rare.items()], MOST_NAMED)
        lines.append(Line("min_count", least, f"what has fewer images is too small to be divided: {told}"))
    return lines


def rare_classes(survey: Survey) -> tuple[dict[str, int], int]:
    """The classes that are left out with their numbers of images, and the `min_count` that leaves them out.

    Raises:
        DataError: fewer than two would be left.
    """
    readable = survey.measures.readable.tolist()
    single = [(own[0], fine) for own, fine in zip(survey.labels, readable, strict=True) if len(set(own)) == 1]
    named, usable = Counter(name for name, _ in single), Counter(name for name, fine in single if fine)
    for fewest in (LEAST, FEWEST):
        small = [named[name] for name in named if usable[name] < fewest]
        least = max(fewest, *(count + 1 for count in small), 0)  # it counts files before they are read
        if sum(count >= least for count in named.values()) >= 2:
            return dict(sorted((name, count) for name, count in named.items() if count < least)), least
    if not named:
        raise DataError(f"{survey.source}: none of its {len(survey)} images has one label")
    told = few([f"{name} ({usable[name]})" for name in sorted(named)], MOST_NAMED)
    raise DataError(
        f"{survey.source}: there are no two classes of {FEWEST} readable images, one for each split: {told}"
    )


def split_shares(survey: Survey) -> dict[str, float]:
    """The shares of the splits that the source does not name: 0.2 each of few images, else 0.15.

    Of few patients they are larger, as each split needs one.

    Raises:
        DataError: there are fewer than three patients, and the source does not say which are in which split.
    """
    share = LARGE_SHARE if len(survey) < SMALL else SHARE
    patients = patient_count(survey)
    if patients and not survey.split_names:
        if patients < len(SPLITS):
            raise DataError(
                f"{survey.source}: {_count(patients, 'patient')} can't be divided into {len(SPLITS)} splits"
            )
        share = max(share, round(1 / patients, 2))
    return {name: share for name in (VAL, TEST) if name not in survey.split_names}


def split_lines(shares: dict[str, float], kept: Survey) -> list[Line]:
    """The section's lines, with what they come to for the images that are `kept`."""
    patients = patient_count(kept)
    by = f"by class and patient, no one of {patients:,} patients in two splits" if patients else "by class"
    return [Line(name, share, f"{kept.in_split(name).sum()} images, {by}") for name, share in shares.items()]


def patient_count(survey: Survey) -> int:
    """How many patients there are; 0 where they are not told."""
    return len({own for own in survey.patients if own is not None})


def told_size(survey: Survey) -> str:
    """The commonest size in a few words, as `480×640` or `mostly 480×640`."""
    sizes: Sequence[str] = list(profile(survey).sizes)
    return f"{'mostly ' if len(sizes) > 1 else ''}{sizes[0].replace(' x ', '×')}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"
