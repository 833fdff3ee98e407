"""Find what file names share that may be a patient's: patient012_1 and patient012_2, 10_left and 10_right."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medray.data.listing.folders.looks import PERSON_WORDS

_PERSON = "|".join(sorted((word for word in PERSON_WORDS if len(word) > 2), key=len, reverse=True))
#: A word for a person with its number, wherever it stands in a path.
_PERSON_PATTERN = rf"(?<![A-Za-z])((?i:{_PERSON})[_ -]*)\d+"
#: Patterns of what stands before the rest of a file's name; the first that convinces is offered.
_PREFIX_PATTERNS = (
    r"^(.+)\.rf\.[0-9A-Za-z]{3,}\.",  # 12_jpg.rf.0a1b2c.jpg, versions of one image
    r"^(\D*\d+[^_ -]*)[_ -]",  # 10_left, IM_0012_view2
    r"^(.*\d.*)[_ -]",  # SOB_B_A-14-22549AB-40-001
    r"^(\D*\d+)[A-Za-z]{1,6}\d{0,3}\.",  # 10L.png, P12S3.png
)
LEAST_GROUPS = 5
MOST_IMAGES = 60  # of a group on average; a prefix with more is of a year, a device or the like
MOST_SHARE = 0.5  # of all images in one group
LEAST_SHARE = 0.5  # of the images in groups of several, or with a word for a person
_YEAR = re.compile(r"\D*(19|20)\d\d\D*")


@dataclass(frozen=True)
class NameGroups:
    """What `matched` files share by a `pattern`: in `count` groups, `several` of which have more than one file.

    `example` is what a group shares, and two of its files.
    """

    pattern: str
    matched: int
    count: int
    several: int
    example: tuple[str, str, str]


def find_group_pattern(paths: Sequence[str], labels: Sequence[str]) -> NameGroups | None:
    """Return the groups that file names make, None if none convinces.

    `paths` are those below the class's folder, `labels` the classes. Running numbers are no groups, nor is what
    all images of a class share, a year, or one name that stands in each class.
    """
    person = _person_pattern(paths)
    for pattern in (person, *_PREFIX_PATTERNS):
        groups: dict[str, list[int]] = defaultdict(list)
        for position, path in enumerate(paths):
            if pattern and (match := re.search(pattern, path)):
                groups[match[1]].append(position)
        matched = sum(map(len, groups.values()))
        enough = matched == len(paths) or (pattern == person and matched >= LEAST_SHARE * len(paths))
        if groups and enough and _convincing(groups, paths, labels, person=pattern == person):
            names = {name: sorted({paths[position] for position in members}) for name, members in groups.items()}
            name, files = max(names.items(), key=lambda item: len(item[1]))
            several = sum(len(members) > 1 for members in groups.values())
            if matched < len(paths):  # the others are patients of their own
                pattern = f"{pattern[:-1]}|^.+)"
            return NameGroups(pattern, matched, len(groups), several, (name, files[0], files[1]))
    return None


def _person_pattern(paths: Sequence[str]) -> str:
    """Return a pattern of the words for a person, as they are spelled, with a number; empty if there are none."""
    matches = (re.search(_PERSON_PATTERN, path) for path in paths)
    words = sorted({match[1] for match in matches if match})
    return "(" + "|".join(word + r"\d+" for word in words) + ")" if words else ""


def _convincing(
    groups: Mapping[str, Sequence[int]], paths: Sequence[str], labels: Sequence[str], *, person: bool
) -> bool:
    """Return whether most images are in groups of several files, and none of these is a class's or a year's."""
    sizes = [len({paths[position] for position in members}) for members in groups.values()]
    matched = sum(map(len, groups.values()))
    classes = len(set(labels))
    if max(sizes) < 2 or len(groups) <= classes:
        return False
    return person or (
        len(groups) >= max(LEAST_GROUPS, 2 * classes)
        and sum(size for size in sizes if size > 1) >= LEAST_SHARE * matched
        and max(sizes) <= MOST_SHARE * matched
        and matched <= MOST_IMAGES * len(groups)
        and not all(map(_YEAR.fullmatch, groups))
    )
