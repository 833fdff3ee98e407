"""Notice images that may be of one patient, by the folders below their classes' or by file names."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medray.data.listing.folders.file_name_groups import find_group_pattern
from medray.data.listing.folders.folder_image import FolderImage
from medray.data.listing.folders.looks import (
    COPIES,
    FILES,
    FOLDS,
    NUMBERS,
    PERSON_WORDS,
    SPLITS,
    SUBGROUP_NAMES,
    UNIT_WORDS,
    is_copy,
    looks_like,
    unit_named,
)
from medray.data.source import EXCLUDE, PATIENTS, escaped
from medray.errors import printable
from medray.text import plural

RELATED = "images may be of one patient"  # a note begins so


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
        return unit_named(self.names) or looks_like(self.names)

    def option(self, total: int) -> str:
        """Return the option by which the folders are the patients; images beside them are their own."""
        if self.images == total:
            return f"?{PATIENTS}={'folder' if self.number == 1 else self.number}"
        return f"?{PATIENTS}=^([^/]+)" if self.number == 1 else f"?{PATIENTS}=PATTERN"

    def describe(self, total: int) -> str:
        """Return the level in words: its number, folders, an example and what it looks like."""
        look, example = self.look, printable(min(self.names))
        kind = f", {look}" if look and look not in (NUMBERS, SPLITS, FOLDS) else ""
        partly = f", {self.images:,} of {total:,} images" if self.images < total else ""
        return f"level {self.number} '{example}' ({plural(self.folders, 'folder')}{partly}{kind})"


def levels_below(images: Sequence[FolderImage]) -> list[LevelBelow]:
    """Return the levels of folders below the classes'; `alone` says that each class has one folder only."""
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
    """Return notes on folders below those of the classes, or else on file names, that may group images."""
    levels = [level for level in levels_below(images) if not level.alone]
    if not levels:
        return note_file_names(["/".join(image.below) for image in images], [image.label for image in images])
    total = len(images)
    listed = "; ".join(level.describe(total) for level in levels)
    notes = [
        f"{RELATED}: folders below those of the classes are not taken for patients unless asked for: {listed}; "
    ]
    possible = [level for level in levels if level.look not in (*SUBGROUP_NAMES, COPIES, FILES)]
    if possible:
        best = best_level(possible)
        splits: dict[str, set[str | None]] = defaultdict(set)
        for image in images:
            if len(image.below) > best.number:
                splits[image.below[best.number - 1]].add(image.split)
        several = sum(len(parts) > 1 for parts in splits.values())
        if several:
            notes[0] += f"{several:,} of {len(splits):,} names of level {best.number} stand in several splits; "
        notes[0] += (
            f"images of one may stand on both sides of a split, `{best.option(total)}` behind the source keeps "
            f"those of a folder of level {best.number} together"
        )
    else:
        notes[0] += f"none looks like patients, whom `?{PATIENTS}=PATTERN` takes from paths and file names"
        notes += note_file_names(["/".join(image.below) for image in images], [image.label for image in images])
    for level in levels:
        if level.look == COPIES:
            names = ",".join([printable(name) for name in sorted(level.names) if is_copy(name)][:4])
            notes.append(
                f"{RELATED}: folders below those of the classes look like {COPIES}: "
                f"`?{EXCLUDE}={escaped(names)}` behind the source leaves them out"
            )
    return notes


def best_level(levels: Sequence[LevelBelow]) -> LevelBelow:
    """Return the level that likely is the patient's: by a word for it or a study, by numbers, or the fullest."""
    for looks in (PERSON_WORDS.values(), UNIT_WORDS.values(), (NUMBERS,)):
        named = [level for level in levels if level.look in looks and len(level.names) > 1]
        if named and looks == (NUMBERS,):
            return max(named, key=lambda level: len(level.names))
        if named:
            return named[0]
    return max(levels, key=lambda level: (len(level.names), -level.number))


def note_file_names(paths: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return a note on what file names share, with the pattern that takes it for the patient, if they do.

    `paths` are those in which the pattern would be searched, `labels` the images' classes.
    """
    groups = find_group_pattern(paths, labels)
    if groups is None:
        return []
    first, second = map(printable, groups.example[1:])
    count = f"{groups.matched:,} of {len(paths):,}" if groups.matched < len(paths) else f"{len(paths):,}"
    return [
        f"{RELATED}: names of {count} files share {groups.count:,} beginnings or numbers, {groups.several:,} of "
        f"them by several files, such as '{printable(groups.example[0])}' of '{first}' and '{second}'; if it is "
        f"the patient, `?{PATIENTS}={escaped(groups.pattern)}` behind the source keeps such images together"
    ]
