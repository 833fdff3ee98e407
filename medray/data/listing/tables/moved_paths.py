"""Find files whose table was written elsewhere: by the end of their paths, where nothing speaks against it."""

import os
import posixpath
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from medray.data.listing.exclude import MASKS
from medray.data.listing.file_tree import IMAGE_SUFFIXES, FileTree, file_size, image_suffix
from medray.data.listing.tables.table_splits import table_split
from medray.data.source import PATTERN, escaped
from medray.errors import DataError, printable
from medray.text import plural

_FOREIGN = re.compile(r"[a-z]:[/\\]|[a-z][a-z0-9+.-]+://|/|\\|~", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
MOST_TRIED, MOST_FOLDERS, MOST_LEVELS = 20, 200, 3  # cells, folders of a level, and levels that are looked at


def is_foreign(cell: str) -> bool:
    """Return whether a cell is an absolute path, of this machine or another, or an address."""
    return bool(_FOREIGN.match(cell))


def path_parts(cell: str) -> tuple[str, ...]:
    """Return the folders and the name of a cell, without "." and leading "..", with "/" or "\\\\" between them."""
    name = posixpath.normpath(_SCHEME.sub("/", cell).replace("\\", "/")) if cell else ""
    return tuple(part for part in name.split("/") if part not in ("", ".", ".."))


def common_folders(cells: Collection[str]) -> int:
    """Return how many first folders all cells share: they tell none of the files from another."""
    return _common_start([path_parts(cell)[:-1] for cell in cells])


def find_moved(cells: Collection[str], tree: FileTree) -> dict[str, str]:
    """Return the file of each cell, by the longest end of its path that is there; cells without one are left out.

    `cells` are those that name no file. Folders that all of them share may be missing; others only if nothing of
    the file's own path is left over, or if no folder of any cell is here and all files lie in one. A folder of
    train, val or test is no other split's, one of masks none of images. Suffixes may differ.

    Raises:
        DataError: a cell may be several files, or several cells are one file.
    """
    keys = {image: _key(image) for image in tree.images} if cells else {}
    by_name: dict[str, list[str]] = {}
    for image, key in keys.items():
        by_name.setdefault(key[-1], []).append(image)
    lengths: dict[str, dict[str, int]] = {}
    for cell in dict.fromkeys(cells):
        parts = _key(cell)
        named = by_name.get(parts[-1], ()) if parts else ()
        lengths[cell] = {i: _common_end(parts, keys[i]) for i in named if _agree(parts, keys[i])}
    shared = common_folders(cells)
    flat = len({image.rpartition("/")[0] for image in tree.images}) == 1 and all(
        length == 1 for ends in lengths.values() for length in ends.values()
    )
    moved: dict[str, str] = {}
    for cell, ends in lengths.items():
        least = len(path_parts(cell)) - shared
        possible = {i: length for i, length in ends.items() if flat or length >= min(least, len(keys[i]))}
        matches = [i for i, length in possible.items() if length == max(possible.values())]
        matches = [i for i in matches if image_suffix(i) == image_suffix(cell)] or matches
        if len(matches) > 1:
            raise DataError(ambiguous_line(cell, matches))
        if matches:
            moved[cell] = matches[0]
    _check_different(moved)
    return moved


def _check_different(moved: Mapping[str, str]) -> None:
    """Check that paths of different folders or names are not one file.

    Raises:
        DataError: two are.
    """
    first: dict[str, str] = {}
    for cell, image in moved.items():
        other = first.setdefault(image, cell)
        if _key(other) != _key(cell):
            raise DataError(
                f"'{printable(other)}' and '{printable(cell)}' are paths of elsewhere, and only "
                f"'{printable(image)}' is here of both; write paths from the table's folder into the column"
            )


def _key(path: str) -> tuple[str, ...]:
    """Return the parts of a path as they are compared: in lower case, without the suffix of an image."""
    *folders, name = path_parts(unquote(unicodedata.normalize("NFC", path).lower())) or ("",)
    return (*folders, name.removesuffix(image_suffix(name))) if name else ()


def _common_end(parts: tuple[str, ...], others: tuple[str, ...]) -> int:
    return _common_start([parts[::-1], others[::-1]])


def _common_start(paths: Sequence[tuple[str, ...]]) -> int:
    return sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False)))


def _agree(parts: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Return whether the folders of two paths do not name different splits, or just the second masks."""
    splits, other_splits = ({table_split(part) for part in path[:-1]} - {None} for path in (parts, others))
    masks = not {*MASKS}.isdisjoint(others[:-1]) and {*MASKS}.isdisjoint(parts[:-1])
    return not masks and (not splits or not other_splits or splits == other_splits)


def ambiguous_line(cell: str, matches: list[str]) -> str:
    """Return the line that refuses a cell that may be several files, with the patterns that select one of them."""
    first, second = map(printable, matches[:2])
    patterns = dict.fromkeys(escaped(printable(_pattern_for(cell, match))) for match in matches)
    ways = " or ".join([f"`?pattern={pattern}`" for pattern in patterns if "{}" in pattern][:3])
    advice = f"{ways} behind the source says which" if ways else "write paths from its folder into the column"
    return f"'{printable(cell)}' may be any of {len(matches)} files, '{first}' or '{second}'; {advice}"


def _pattern_for(cell: str, path: str) -> str:
    """Return the pattern that makes `path` of a cell, as "images/{}" or "images/{}.png"; without {} none does."""
    end = "/".join(path_parts(cell))
    before = path[: len(path) - len(end)] if path.lower().endswith(end.lower()) else None
    if before is not None:
        return f"{before}{{}}"
    suffix = path[len(path) - len(image_suffix(path)) :]
    stem = path.removesuffix(suffix)
    return f"{stem[: len(stem) - len(end)]}{{}}{suffix}" if stem.lower().endswith(end.lower()) else path


def hint_of_elsewhere(cells: Iterable[str], root: Path) -> str:
    """Return the end of a refusal's line: where images of these names lie near `root`, or what cells look like."""
    cells = [*dict.fromkeys(cells)]
    tried = [cell for cell in cells if cell][:MOST_TRIED]
    for level in range(1, MOST_LEVELS + 1):
        if len(root.parents) < level:
            break
        above = root.parents[level - 1]
        try:
            folders = sorted(e.name for e in os.scandir(above) if e.is_dir() and not e.name.startswith("."))
        except OSError:
            break
        for folder in ["", *(f"{name}/" for name in folders[:MOST_FOLDERS])]:
            for cell in (cell for cell in tried if not is_foreign(cell)):
                name = cell.replace("\\", "/")
                ends = ["", *sorted(IMAGE_SUFFIXES)] if not image_suffix(name) else [""]
                end = next((end for end in ends if file_size(above / f"{folder}{name}{end}") is not None), None)
                if end is not None:
                    pattern = escaped(f"{'../' * level}{printable(folder)}{{}}{end}")
                    return f"; '{printable(cell)}' lies there by `?pattern={pattern}` behind the source"
    foreign = sum(map(is_foreign, cells))
    if foreign:
        return (
            f"; {plural(foreign, 'cell')} hold paths of elsewhere, and no end of them fits one file below: put "
            "the table above its images, or write paths from its folder"
        )
    return f"; `?{PATTERN}=../FOLDER/{{}}` behind the source says where they lie"


def note_moved(column: str, moved: Mapping[str, str]) -> list[str]:
    """Return a note on the files that were found by the ends of their paths, if there are any."""
    if not moved:
        return []
    cell, image = next(iter(sorted(moved.items())))
    return [
        f"files: {plural(len(moved), 'path')} of column '{column}', not here as written, by their ends, as "
        f"'{printable(image)}' for '{printable(cell)}'"
    ]
