"""The sections images, labels and splits: how files become a data set, each line with its reason."""

from collections import Counter

import numpy as np

from medray._types import Array
from medray.audit.profile import GREY, GREY_AS_RGB, RGB, count_channels, count_sizes
from medray.audit.survey import Survey
from medray.data.listing.listing import SPLITS, TEST, VAL, SourceFacts
from medray.data.source import PATTERN
from medray.data.two_valued import at_most_two, masks_among
from medray.errors import DataError
from medray.init.document import Line
from medray.space.preparation import DROP
from medray.tasks import SEVERAL
from medray.text import first_names, natural_order, plural

SIDE, STEP, SMALLEST = 224, 8, 16  # pixels: the longest side, what sides are multiples of, the shortest one
SIMILAR_ASPECT = 1.1  # aspects that differ by a smaller factor are stretched into one another without much harm
LEAST, FEWEST = 6, 3  # images of a class: two for each of three splits, or at the very least one
SMALL, LARGE_SHARE, SHARE = 300, 0.2, 0.15
MOST_NAMED = 8


def check_missing(facts: SourceFacts, missing: str) -> None:
    """Check that all rows of a table have a file, unless `missing` is drop.

    Raises:
        DataError: some have none; the line names the ways out.
    """
    if facts.missing and missing != DROP:
        rows = f"{len(facts.missing):,} of {plural(sum(facts.rows.values()), 'row')}"
        raise DataError(
            f"{facts.source}: {rows} without a file (first: {first_names(facts.missing)}); `?{PATTERN}=` behind "
            "the source says how files are called, `--missing drop` writes a study without these rows"
        )


def image_lines(survey: Survey) -> list[Line]:
    """Choose size, aspect and channels, and drop files that can't be read, and rows without a file.

    Raises:
        DataError: no image can be read.
    """
    readable = survey.measures.readable
    if not readable.any():
        first = f"{survey.names[0]}: {survey.measures.problem[0]}"
        raise DataError(f"{survey.source}: none of its {len(survey)} images can be read (first: {first})")
    readable &= ~masks_of(survey)
    heights, widths = survey.measures.height[readable], survey.measures.width[readable]
    size = common_size(heights, widths)
    lines = [size_line(survey, size)]
    other = np.abs(np.log(widths / heights) - np.log(size[1] / size[0])) > np.log(SIMILAR_ASPECT)
    if other.any():
        reason = f"{other.sum():,} of {len(heights):,} have another aspect: black borders instead of stretching"
        lines.append(Line("aspect", "pad", reason))
    lines.append(channels_line(survey))
    unreadable = np.flatnonzero(~survey.measures.readable)
    if len(unreadable):
        first = f"{survey.names[unreadable[0]]}: {survey.measures.problem[unreadable[0]]}"
        reason = f"{plural(len(unreadable), 'file')} can't be read, the first {first}"
        lines.append(Line("unreadable", "drop", reason))
    masks = np.flatnonzero(masks_of(survey))
    if len(masks):
        first = next(survey.names[image] for image in masks if survey.measures.levels[image] == 2)
        reason = (
            f"{plural(len(masks), 'file')} of one or two values only, as masks have, the first {first}; or keep"
        )
        lines.append(Line("two_valued", "drop", reason))
    if survey.missing:
        rows = plural(len(survey.missing), "row")
        lines.append(Line("missing", "drop", f"{rows} without a file, the first {survey.missing[0]}"))
    return lines


def masks_of(survey: Survey) -> Array:
    """Return which images are to be left out as masks by their two values, bool (n,): none if there are few."""
    readable, levels = survey.measures.readable, survey.measures.levels
    masks = np.zeros(len(survey), dtype=bool)
    if masks_among(levels[readable]):
        masks[readable] = at_most_two(levels[readable])
    return masks


def common_size(heights: Array, widths: Array) -> tuple[int, int]:
    """Return the height and width that all images get, from their `heights` and `widths` (n,).

    Images of one size keep it up to 224 pixels; else the medians, in multiples of 8, scaled to at most 224. An
    almost square size becomes square.
    """
    height, width = float(np.median(heights)), float(np.median(widths))
    if len(set(heights.tolist())) == len(set(widths.tolist())) == 1 and max(height, width) <= SIDE:
        return int(height), int(width)
    if max(height, width) / min(height, width) < SIMILAR_ASPECT:
        height = width = max(height, width)
    scale = min(1.0, SIDE / max(height, width))
    first, second = (max(SMALLEST, STEP * round(side * scale / STEP)) for side in (height, width))
    return first, second


def size_line(survey: Survey, size: tuple[int, int]) -> Line:
    """Return the line for the `size` that all images get, explained by the sizes that they have."""
    counts = count_sizes(survey.measures)
    (common, most), *others = counts.most_common()
    if not others:
        reason = f"all are {_format_size(common)}"
    elif 2 * most > counts.total():
        reason = f"{most} are {_format_size(common)}, others of {len(others)} other sizes"
    else:
        (low, high), (narrow, wide) = ((min(sides), max(sides)) for sides in zip(*counts, strict=True))
        reason = f"they are of {len(counts)} sizes, {low} to {high} high and {narrow} to {wide} wide"
    if size == common and not others:
        reason += ", and stay so"
    elif max(size) == SIDE:
        reason += f"; most published networks were made for {SIDE}, and half of it takes a quarter of the time"
    return Line("image_size", size[0] if size[0] == size[1] else list(size), reason)


def channels_line(survey: Survey) -> Line:
    """Choose three channels where an image has colours, else one."""
    counts = count_channels(survey.measures)
    colours, stored = counts.get(RGB, 0), counts.get(GREY_AS_RGB, 0)
    grey = counts.get(GREY, 0) + stored
    if colours:
        return Line("channels", 3, f"{colours:,} in colour, {grey:,} grey" if grey else "all in colour")
    return Line("channels", 1, f"all grey, {stored} of them stored as RGB" if stored else "all grey")


def label_lines(survey: Survey) -> list[Line]:
    """Drop images without a label or with several, and classes that are too small to be split.

    Raises:
        DataError: there are no two classes of three readable images.
    """
    lines = []
    blank = sum(not labels for labels in survey.labels)
    several = [labels for labels in survey.labels if len(set(labels)) > 1]
    if blank:
        lines.append(Line("blank", "drop", f"{plural(blank, 'image')} without a label"))
    if several:
        reason = (
            f"{plural(len(several), 'image')} with several labels, such as {', '.join(several[0])}; or `first`, "
            f"or all, by `task: {SEVERAL.name}`"
        )
        lines.append(Line("multiple", "drop", reason))
    return [*lines, *rare_lines(survey)]


def rare_lines(survey: Survey) -> list[Line]:
    """Leave out classes, or labels, of too few images to be in every split.

    Raises:
        DataError: there are no two of three readable images.
    """
    rare, least = rare_classes(survey)
    if not rare:
        return []
    names = first_names([f"{name} ({count})" for name, count in rare.items()], MOST_NAMED)
    noun = "labels" if survey.label_sets else "classes"
    return [Line("min_count", least, f"{noun} with fewer images are too small to be split: {names}")]


def rare_classes(survey: Survey) -> tuple[dict[str, int], int]:
    """Return the classes to leave out with their numbers of images, and the `min_count` that leaves them out.

    Raises:
        DataError: fewer than two would be left.
    """
    kept = (survey.measures.readable & ~masks_of(survey)).tolist()
    counted = [
        (name, ok)
        for labels, ok in zip(survey.labels, kept, strict=True)
        for name in {*labels} - {survey.none_label}
        if survey.label_sets or len({*labels}) == 1
    ]
    listed, usable = Counter(name for name, _ in counted), Counter(name for name, ok in counted if ok)
    for fewest in (LEAST, FEWEST):
        small = [count for name, count in listed.items() if usable[name] < fewest]
        least = max([fewest, *(count + 1 for count in small)])  # min_count counts files before they are read
        if sum(count >= least for count in listed.values()) >= 2:
            return {name: listed[name] for name in natural_order(listed) if listed[name] < least}, least
    if not listed:
        raise DataError(f"{survey.source}: none of its {len(survey)} images has one label")
    names = first_names([f"{name} ({usable[name]})" for name in natural_order(listed)], MOST_NAMED)
    raise DataError(
        f"{survey.source}: there are no two classes of {FEWEST} readable images, one for each split: {names}"
    )


def split_shares(survey: Survey) -> dict[str, float]:
    """Return the shares of the splits that the source does not name: 0.2 each of few images, else 0.15.

    They are larger for few patients, as each split needs one.

    Raises:
        DataError: there are fewer than three patients, and the source does not say which are in which split.
    """
    share = LARGE_SHARE if len(survey) < SMALL else SHARE
    patients = patient_count(survey)
    if patients and not survey.split_names:
        if patients < len(SPLITS):
            raise DataError(
                f"{survey.source}: {plural(patients, 'patient')} can't be divided into {len(SPLITS)} splits"
            )
        share = max(share, round(1 / patients, 2))
    return {name: share for name in (VAL, TEST) if name not in survey.split_names}


def split_lines(shares: dict[str, float], kept: Survey) -> list[Line]:
    """Return the shares with the numbers of images that they give, of those that are `kept`."""
    patients = patient_count(kept)
    rule = f"by class and patient, no one of {patients:,} patients in two splits" if patients else "by class"
    return [Line(name, share, f"{kept.in_split(name).sum()} images, {rule}") for name, share in shares.items()]


def patient_count(survey: Survey) -> int:
    """Return the number of patients; 0 where the source names none."""
    return len({*survey.patients} - {None})


def describe_size(survey: Survey) -> str:
    """Return the most frequent size, as `480×640` or `mostly 480×640`."""
    (common, _), *others = count_sizes(survey.measures).most_common()
    return f"{'mostly ' if others else ''}{_format_size(common)}"


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
