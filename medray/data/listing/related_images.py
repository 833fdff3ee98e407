"""Notice images that may be of one patient, by the folders below those of their classes or by the files' names."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medray.data.listing.folder_image import FolderImage
from medray.data.listing.folder_looks import COPIES, NUMBERS, PERSON_WORDS, UNIT_WORDS, looks_like
from medray.data.source import EXCLUDE, PATIENTS
from medray.errors import printable
from medray.text import plural

RELATED = "images may be of one patient"  # a note begins so
_PERSON = "|".join(sorted((word for word in PERSON_WORDS if len(word) > 2), key=len, reverse=True))
#: A word for a person with its number, wherever it stands in a path.
_PERSON_PATTERN = rf"((?i:{_PERSON})[_ -]*\d+)"
#: Patterns of what stands before the rest of a file's name, the first that convinces is offered.
_PREFIX_PATTERNS = (r"^(\D*\d+[^_ -]*)[_ -]", r"^(.*\d.*)[_ -]")
LEAST_GROUPS = 5
MOST_IMAGES = 60  # of a group on average; a prefix with more is of a year, a device or the like
MOST_SHARE = 0.5  # of all images in one group
_YEAR = re.compile(r"\D*(19|20)\d\d\D*")


@dataclass(frozen=True)
class LevelBelow:
    """One level of folders below those of the classes: number 1 is just below.

    `names` counts the images below the folders of each name, and `folders` are all of its folders.
    """

    number: int
    names: Mapping[str, int]
    folders: int
    images: int
    alone: bool

    @property
    def look(self) -> str | None:
        """What the folders look like."""
        return looks_like(list(self.names))

    @property
    def option(self) -> str:
        """The option by which the folders are the patients."""
        return f"?{PATIENTS}={'folder' if self.number == 1 else self.number}"

    def describe(self, total: int) -> str:
        """Return the level in words: its number, folders, an example and what it looks like."""
        look, example = self.look, printable(min(self.names))
        as_what = f", {look}" if look and look != NUMBERS else ""
        partly = f", {self.images:,} of {total:,} images" if self.images < total else ""
        return f"level {self.number} '{example}' ({plural(self.folders, 'folder')}{partly}{as_what})"


def levels_below(images: Sequence[FolderImage]) -> list[LevelBelow]:
    """Return the levels of folders below those of the classes; `alone` says that each class has one folder only."""
    levels = []
    for depth in range(max((len(image.below) for image in images), default=1) - 1):
        deep = [image for image in images if len(image.below) > depth + 1]
        folders = {(image.label, *image.below[: depth + 1]) for image in deep}
        by_class = Counter(label for label, *_ in folders)
        names = Counter(image.below[depth] for image in deep)
        alone = max(by_class.values()) == 1 and len(deep) == len(images)
        levels.append(LevelBelow(depth + 1, names, len(folders), len(deep), alone))
    return levels


def note_related(images: Sequence[FolderImage]) -> list[str]:
    """Return notes on folders below those of the classes, or else on file names, that look as if they group images."""
    levels = [level for level in levels_below(images) if not level.alone]
    if not levels:
        return note_file_names(images)
    listed = "; ".join(level.describe(len(images)) for level in levels)
    best = best_level(levels)
    notes = [
        f"{RELATED}: folders below those of the classes are not taken for patients unless asked for: {listed}; they "
        f"may stand on both sides of a split, `{best.option}` behind the source keeps those of a folder of level "
        f"{best.number} together"
    ]
    for level in levels:
        if level.look == COPIES:
            names = ",".join(map(printable, sorted(level.names)[:4]))
            notes.append(
                f"{RELATED}: folders below those of the classes look like {COPIES} ({names}): `?{EXCLUDE}=NAME` "
                "behind the source leaves them out"
            )
    return notes


def best_level(levels: Sequence[LevelBelow]) -> LevelBelow:
    """Return the level that most likely is the patient's: by a person's word, a study's, or by numbers; else the fullest."""
    for looks in (PERSON_WORDS.values(), UNIT_WORDS.values(), (NUMBERS,)):
        named = [level for level in levels if level.look in looks and len(level.names) > 1]
        if named and looks == (NUMBERS,):
            return max(named, key=lambda level: len(level.names))
        if named:
            return named[0]
    return max(levels, key=lambda level: (len(level.names), -level.number))


def note_file_names(images: Sequence[FolderImage]) -> list[str]:
    """Return a note on what file names share, with the pattern that takes it for the patient; none if nothing convinces."""
    paths = [(image.label, "/".join(image.below)) for image in images]
    for pattern, least in ((_PERSON_PATTERN, 0.5), *((prefix, 1.0) for prefix in _PREFIX_PATTERNS)):
        groups = group_names(paths, pattern)
        matched = sum(map(len, groups.values()))
        if matched < max(least * len(paths), 1) or not _convincing(groups, matched, person=least < 1):
            continue
        option = pattern if matched == len(paths) else f"{pattern[:-1]}|^.+)"
        if pattern == _PERSON_PATTERN:
            option = _named_pattern(paths, matched)
        example, members = max(groups.items(), key=lambda item: len(item[1]))
        first, second = (printable(path) for _, path in members[:2])
        several = sum(len(members) > 1 for members in groups.values())
        count = f"{matched:,} of {len(paths):,}" if matched < len(paths) else f"{matched:,}"
        return [
            f"{RELATED}: names of {count} files share {len(groups):,} beginnings or numbers, {several:,} of them by "
            f"several files, such as '{printable(example)}' of '{first}' and '{second}'; if it is the patient, "
            f"`?{PATIENTS}={escaped(option)}` behind the source keeps such images together"
        ]
    return []


def _named_pattern(paths: Sequence[tuple[str, str]], matched: int) -> str:
    """Return the shortest pattern of a person's word with a number; files without it are patients of their own."""
    word = next(m[1] for _, path in paths if (m := re.search(rf"((?i:{_PERSON})[_ -]*)\d", path)))
    named = rf"{re.escape(word)}\d+".replace("\\ ", " ").replace("\\-", "-").replace("\\_", "_")
    same = sum(re.search(named, path) is not None for _, path in paths)
    named = named if same == matched else _PERSON_PATTERN[1:-1]
    return f"({named})" if matched == len(paths) else f"({named}|^.+)"


def escaped(pattern: str) -> str:
    """Return a pattern as an option's value is written: with the signs escaped that mean something in a source."""
    return re.sub(r"[%&?]", lambda match: f"%{ord(match[0]):02X}", pattern)


def group_names(paths: Iterable[tuple[str, str]], pattern: str) -> dict[str, list[tuple[str, str]]]:
    """Return the paths, each with its class, by what a pattern's group matches; those without a match are left out."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for label, path in paths:
        if match := re.search(pattern, path):
            groups[match[1]].append((label, path))
    return groups


def _convincing(groups: Mapping[str, Sequence[tuple[str, str]]], matched: int, *, person: bool) -> bool:
    """Return whether groups of file names are many, most images are in one of several, and none is a class or year."""
    sizes = [len(members) for members in groups.values()]
    in_several = sum(size for size in sizes if size > 1)
    by_class: dict[str, set[str]] = defaultdict(set)
    for name, members in groups.items():
        for label, _ in members:
            by_class[label].add(name)
    if person:
        return len(groups) > 1 and max(sizes) > 1 and len(groups) > len(by_class)
    return (
        len(groups) >= max(LEAST_GROUPS, 2 * len(by_class))
        and in_several >= MOST_SHARE * matched
        and max(sizes) <= MOST_SHARE * matched
        and matched <= MOST_IMAGES * len(groups)
        and not all(map(_YEAR.fullmatch, groups))
    )
