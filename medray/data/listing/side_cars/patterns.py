"""Find the patterns of names that leave out side-cars, and no other file."""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from medray.data.listing.exclude import Entry, Exclusion
from medray.data.listing.file_tree import image_suffix
from medray.data.listing.side_cars.side_words import SIDE_WORDS

MOST_PATTERNS = 12
_SPECIAL = re.compile(r"[^\w .()+=@!~-]")
_SIDE_WORD = re.compile(
    rf"(?P<before>[ ._+-]*)(?P<word>(?:ground|heat|bounding|super|label)[\W_]*(?:truth|map|box|pixel)s?|"
    rf"(?:{'|'.join(sorted(SIDE_WORDS, key=len, reverse=True))})s?)(?P<behind>[ ._+-]*)",
    re.IGNORECASE,
)


class Named(Protocol):
    """A side-car, as its path and the folder that says so, if one."""

    @property
    def path(self) -> str:
        """Its path."""

    @property
    def folder(self) -> str:
        """The name of the folder, or empty."""


def find_patterns(side_cars: Sequence[Named], paths: Sequence[str]) -> tuple[str, ...]:
    """Return a few entries for `exclude` that fit the side-cars and no other path; none where there are none."""
    expected = {side_car.path for side_car in side_cars}
    checked: dict[str, set[str]] = {}
    patterns: list[str] = []
    covered: set[str] = set()
    for side_car in side_cars:
        if side_car.path in covered:
            continue
        for pattern in _candidates(side_car):
            if pattern not in checked:
                checked[pattern] = Exclusion((Entry(pattern),)).left_out(paths)
            if side_car.path in checked[pattern] and checked[pattern] <= expected:
                patterns.append(pattern)
                covered |= checked[pattern]
                break
        else:
            return ()
        if len(patterns) > MOST_PATTERNS:
            return ()
    return tuple(p for p in patterns if not any(checked[p] < checked[other] for other in patterns))


def _candidates(side_car: Named) -> Iterator[str]:
    """Yield entries that fit a side-car, the simplest first."""
    if side_car.folder:
        yield _literal(side_car.folder)
        parts = side_car.path.split("/")
        yield "/".join(map(_literal, parts[: parts.index(side_car.folder) + 1])) + "/**"
        return
    folder, _, name = side_car.path.rpartition("/")
    within = f"{'/'.join(map(_literal, folder.split('/')))}/"
    suffix = _literal(image_suffix(name))
    stem = name[: len(name) - len(suffix)]
    for match in reversed([*_SIDE_WORD.finditer(stem)]):
        before, word, behind = map(_literal, match.group("before", "word", "behind"))
        if match.start() == 0 and not before:
            yield f"{word}{behind or ''}*"
        elif before:
            yield f"*{before}{word}*"
        yield f"*{before}{word}{suffix}"
        yield f"*{before}{word}{behind}*"
        yield f"{within}*{before}{word}*"
    yield f"*{suffix}"
    yield _literal(name)
    yield f"{within}{_literal(name)}"


def _literal(text: str) -> str:
    """Return text as part of an entry: ? stands for what has a meaning in one, or in a source."""
    return _SPECIAL.sub("?", text)
