"""Leave out folders and files by their names, by patterns of names, and by paths.

masks            folders of this name at any depth, and files of exactly this name
*_mask*          names that the pattern fits: * is any text, ? any character; neither fits a "/"
train/*/masks    a path from the source's folder; ** is any number of folders
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from medray.data.listing.file_tree import FileTree
from medray.data.listing.folder_names import tidy
from medray.data.source import EXCLUDE
from medray.errors import DataError, nearest, printable
from medray.text import first_names

MASKS = ("mask", "masks")
MOST_NAMES = 2000  # file names in which the one that was meant is looked for
_GLOB = re.compile(r"\*\*/|\*\*|\*|\?")
_GLOBS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True)
class Entry:
    """One entry of the option: a name, a pattern of names, or a path, which holds a "/"."""

    text: str

    @cached_property
    def key(self) -> str:
        """The form in which it is compared: accents composed, case folded."""
        return normalised(self.text).strip("/")

    @property
    def is_pattern(self) -> bool:
        """Whether it holds * or ?."""
        return "*" in self.text or "?" in self.text

    @cached_property
    def _fits(self) -> re.Pattern[str]:
        parts, start = [], 0
        for match in _GLOB.finditer(self.key):
            parts += [re.escape(self.key[start : match.start()]), _GLOBS[match[0]]]
            start = match.end()
        return re.compile("".join([*parts, re.escape(self.key[start:])]), re.DOTALL)

    def fits(self, path: str) -> bool:
        """Return whether it fits the normalised path of a folder or file itself, whatever lies below or above."""
        return self._fits.fullmatch(path if "/" in self.key else path.rpartition("/")[2]) is not None


@dataclass(frozen=True)
class Exclusion:
    """The entries of one option, each once."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def parse(cls, option: str | None) -> "Exclusion":
        """Parse names, patterns and paths with commas between them; none of None."""
        entries = (Entry(tidy(text)) for text in (option or "").split(",") if text.strip(" /"))
        return cls(tuple({entry.key: entry for entry in entries}.values()))

    def first_match(self, path: str) -> Entry | None:
        """Return the entry that fits the outermost folder of a path, or else its file; None if it is kept."""
        parts = normalised_path(path).split("/")
        for end in range(1, len(parts) + 1):
            for entry in self.entries:
                if entry.fits("/".join(parts[:end])):
                    return entry
        return None

    def left_out(self, paths: Iterable[str]) -> set[str]:
        """Return those of the paths that are not kept."""
        return {path for path in paths if self.first_match(path) is not None}

    def unmatched(self, paths: Iterable[str]) -> list[Entry]:
        """Return the entries that fit none of the paths, of folders and files."""
        left = list(self.entries)
        for path in map(normalised_path, paths):
            if not left:
                break
            left = [entry for entry in left if not entry.fits(path)]
        return left


def exclude_paths(tree: FileTree, option: str | None, *, also: Sequence[str] = ()) -> tuple[FileTree, list[str]]:
    """Return the tree without the folders and files that `option` fits, and a note on each of its entries.

    Case does not matter. None leaves nothing out. `also` are paths elsewhere that an entry may fit.

    Raises:
        DataError: an entry fits nothing, none is given, or no image is left.
    """
    if option is None:
        return tree, []
    exclusion = Exclusion.parse(option)
    if not exclusion.entries:
        raise DataError(f"{tree.root}: option '{EXCLUDE}' names nothing; {_valid(tree)}")
    for entry in exclusion.unmatched([*tree.folders, *tree.images, *tree.ignored, *also]):
        raise DataError(f"{tree.root}: option '{EXCLUDE}': {_unmatched_line(entry, tree)}")
    matches = {path: exclusion.first_match(path) for path in (*tree.images, *tree.ignored, *tree.folders)}
    if tree.images and all(matches[image] for image in tree.images):
        raise DataError(f"{tree.root}: option '{EXCLUDE}' leaves none of the {len(tree.images)} images")
    images, others = (Counter(matches[path] for path in paths) for paths in (tree.images, tree.ignored))
    folders = Counter(
        entry for path in map(normalised_path, tree.folders) for entry in exclusion.entries if entry.fits(path)
    )
    kept = replace(
        tree,
        images=tuple(path for path in tree.images if not matches[path]),
        ignored=tuple(path for path in tree.ignored if not matches[path]),
        folders=tuple(path for path in tree.folders if not matches[path]),
    )
    return kept, [
        f"left out by {EXCLUDE}: '{printable(entry.text)}' (folders: {folders[entry]}, images: {images[entry]}, "
        f"other files: {others[entry]})"
        for entry in exclusion.entries
    ]


def _valid(tree: FileTree) -> str:
    names = sorted({printable(folder.rpartition("/")[2]) for folder in tree.folders})
    return f"valid: {first_names(names, 10) or 'none'}; or a pattern of file names, such as *_mask*"


def _unmatched_line(entry: Entry, tree: FileTree) -> str:
    """Return the line for an entry that fits nothing, with the nearest name, or word of a name for a pattern."""
    names = {path.rpartition("/")[2]: None for path in (*tree.folders, *tree.images[:MOST_NAMES], *tree.ignored)}
    if not entry.is_pattern:
        shown = printable(entry.text)
        return f"no folder or file '{shown}'{nearest(shown.strip('/').rpartition('/')[2], names)}; {_valid(tree)}"
    literal = max(re.split(r"[\W_]+", entry.text), key=len)
    words = {word for name in names for word in re.split(r"[\W\d_]+", name) if word}
    return f"no folder or file fits '{printable(entry.text)}'{nearest(literal, sorted(words))}; {_valid(tree)}"


def parents(path: str) -> Iterator[str]:
    """Yield the normalised names of the folders that a path lies in, from the outermost."""
    yield from map(normalised, path.split("/")[:-1])


def outermost(path: str, names: Collection[str]) -> str | None:
    """Return the outermost parent folder of `path` whose normalised name is in `names`, or None."""
    return next((name for name in parents(path) if name in names), None)


def relative_path(path: Path, root: Path) -> str:
    """Return the path of a file below `root`; of a file elsewhere its whole path, without the first "/"."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix().lstrip("/")


def hint_to_exclude(*names: str, option: str | None = None) -> str:
    """Return the end of an error's line: how the source leaves out these names, besides those of its `option`."""
    literal = [name.replace(",", "?") for name in names]  # a comma divides entries
    entries = ",".join(map(printable, [*([option] if option else []), *literal]))
    entries = entries.replace("%", "%25").replace("&", "%26")
    return f"; `?{EXCLUDE}={entries}` behind the source leaves such {_kind(names)} out"


def _kind(names: Collection[str]) -> str:
    return "files" if any("*" in name or "?" in name for name in names) else "folders"


def normalised(name: str) -> str:
    """Return a name in the form in which names are compared: accents composed, case folded."""
    if name.isascii():
        return name.strip().lower()
    return unicodedata.normalize("NFC", tidy(name).casefold())


def normalised_path(path: str) -> str:
    """Return a path whose names are in the form in which they are compared."""
    if path.isascii() and path.isprintable() and " " not in path:
        return path.lower()
    return "/".join(map(normalised, path.split("/")))
