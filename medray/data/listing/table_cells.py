"""The files that the cells of a table name: by path, by name, without a suffix, or by number and a pattern."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from medray.data.listing.scan import FoundFiles, size_of, suffix_of
from medray.errors import DataError, printable

_PATTERN = re.compile(r"([^{}]*)\{(:(?:0([1-9][0-9]?))?d)?\}([^{}]*)")
_NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)
NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass
class ImageIndex:
    """The images below a table's folder, by their names and by these without suffix, in lower case."""

    found: FoundFiles
    by_name: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    by_stem: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for image in self.found.images:
            name = _key(image).rpartition("/")[2]
            self.by_name[name].append(image)
            self.by_stem[name.removesuffix(suffix_of(name))].append(image)

    def find(self, cell: str) -> Path | None:
        """Return the file that a cell names, None if there is none.

        Raises:
            DataError: it may be several files.
        """
        root, wanted = self.found.root, cell.replace("\\", "/")
        for path in (root / cell, root / wanted):
            if cell and size_of(path) is not None:
                return Path(os.path.normpath(path))
        fit = self._named(wanted)
        if len(fit) > 1:
            raise DataError(
                f"'{printable(cell)}' may be any of {len(fit)} files, '{printable(fit[0])}' or "
                f"'{printable(fit[1])}'"
            )
        return root / fit[0] if fit else None

    def _named(self, wanted: str) -> list[str]:
        """The files whose path ends as a cell does, with the same case where there is one of that."""
        parts = [part for part in _key(wanted).split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            return []
        tail = "/" + "/".join(parts)
        named = [f for f in self.by_name.get(parts[-1], ()) if f"/{_key(f)}".endswith(tail)]
        stems = [f for f in self.by_stem.get(parts[-1], ()) if f"/{_without_suffix(_key(f))}".endswith(tail)]
        fit = named or stems
        exact = [f for f in fit if wanted in f]
        return exact if len(exact) == 1 else fit


@dataclass(frozen=True)
class Pattern:
    """Names made of a cell: `before`, the cell (a number of `width` digits unless None), `after`."""

    before: str
    width: int | None
    after: str

    @classmethod
    def read(cls, written: str) -> "Pattern":
        """Read a pattern such as "BloodImage_{:05d}.jpg" or "scan {}.png".

        Raises:
            DataError: it is none.
        """
        found = _PATTERN.fullmatch(written)
        if not found:
            raise DataError(f"pattern '{written}' needs one {{}} for the cell, {{:d}} or {{:05d}} for a number")
        before, numbered, width, after = found.groups()
        return cls(before, int(width or 1) if numbered else None, after)

    def name(self, cell: str) -> str:
        """The file's name for a cell.

        Raises:
            DataError: the cell must be a whole number, and is not.
        """
        if self.width is None:
            return f"{self.before}{cell}{self.after}"
        if not NUMBER.fullmatch(cell):
            raise DataError(f"'{printable(cell)}' is no whole number, which pattern '{self}' needs")
        return f"{self.before}{int(cell):0{self.width}d}{self.after}"

    def __str__(self) -> str:
        width = {None: "", 1: ":d"}.get(self.width, f":0{self.width}d")
        return f"{self.before}{{{width}}}{self.after}"


def guess_pattern(images: Iterable[str], cells: Collection[str]) -> Pattern | None:
    """Return the one pattern of the images' names that makes names of these numbers; None if there is none.

    Raises:
        DataError: there are several.
    """
    names = {image.rpartition("/")[2] for image in images}
    digits: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        suffix = name[len(_without_suffix(name)) :]
        if parts := _NUMBERED.fullmatch(name.removesuffix(suffix)):
            digits[parts[1], parts[3] + suffix].append(parts[2])
    patterns = (Pattern(before, _digits(found), after) for (before, after), found in sorted(digits.items()))
    fit = [pattern for pattern in patterns if any(pattern.name(cell) in names for cell in cells)]
    if len(fit) > 1:
        raise DataError(f"its numbers fit names by several patterns; name one as 'pattern': {_listed(fit)}")
    return fit[0] if fit else None


def _listed(fit: list[Pattern]) -> str:
    return ", ".join(f"'{printable(str(pattern))}'" for pattern in fit[:5])


def _digits(found: Iterable[str]) -> int:
    """How many digits numbers are padded to: as many as those have that begin with a zero."""
    return max((len(number) for number in found if number.startswith("0")), default=1)


def _without_suffix(name: str) -> str:
    return name[: len(name) - len(suffix_of(name))]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()
