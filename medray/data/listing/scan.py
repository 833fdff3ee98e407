"""The files below a folder: which are images, which are not, and which folders there are."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medray.data.decoding import sniff
from medray.errors import DataError, not_found_line, printable

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
IMAGE_SUFFIXES = DICOM_SUFFIXES | {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
_REFUSED = frozenset({".gif", ".webp"})  # images too, but not read: they are told by name, never passed over
# What systems leave behind, besides hidden files; nobody means these, so they are not even told of.
_LEFT_BEHIND = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "icon\r"})
_NO_IMAGE = frozenset({"dicomdir"})  # the index of a medium: DICOM, but without pixels
_HEAD = 256  # bytes; enough to tell every format


@dataclass(frozen=True)
class FoundFiles:
    """Paths below `root`, written with "/", each list sorted.

    `folders` are all of them, also those without images; `ignored` are the files that are no images, and links to
    a folder that they lie in.
    """

    root: Path
    images: tuple[str, ...]
    ignored: tuple[str, ...]
    folders: tuple[str, ...]


def find_files(root: Path) -> FoundFiles:
    """Find the files below a folder; hidden ones, and what systems leave behind, are passed over.

    A file is an image by its suffix, in upper or lower case, whatever its content, also of a kind that is not
    read; one without a known suffix is an image by its first bytes.

    Raises:
        DataError: there is no such folder, or one below it can't be read.
    """
    mode = _mode(root)
    if not mode:
        raise DataError(not_found_line("folder", root))
    if not stat.S_ISDIR(mode):
        raise DataError(f"{root} is a file, not a folder")
    found: dict[str, list[str]] = {"image": [], "other": [], "folder": []}
    for kind, relative in _walk(root):
        found[kind].append(relative)
    images, ignored, folders = (tuple(sorted(found[kind])) for kind in ("image", "other", "folder"))
    return FoundFiles(root, images, ignored, folders)


def suffix_of(name: str) -> str:
    """The suffix in lower case, if it is one of an image; else nothing, so that "1.2.840.10008" has none."""
    found = os.path.splitext(name)[1].lower()  # noqa: PTH122  a Path for each of many files is slow
    return found if found in IMAGE_SUFFIXES | _REFUSED else ""


def _walk(root: Path) -> Iterator[tuple[str, str]]:
    """Kind and path of all that lies below; links are followed, but not into a folder that they lie in."""
    waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", (_identity(root),))]
    while waiting:
        prefix, parents = waiting.pop()
        for entry in _entries(root, prefix):
            relative = prefix + entry.name
            if not entry.is_dir():
                yield _kind(entry), relative
            elif (own := _identity(Path(entry.path))) in parents:
                yield "other", relative
            else:
                yield "folder", relative
                waiting.append((f"{relative}/", (*parents, own)))


def _entries(root: Path, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / prefix) as entries:
            return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in _LEFT_BEHIND]
    except OSError as error:
        raise DataError(f"{printable(str(root / prefix))} can't be read: {error.strerror}") from None


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _kind(entry: os.DirEntry[str]) -> str:
    """Image or other; a link to nothing is told later, as an image that can't be read."""
    if not entry.is_file() and not entry.is_symlink():
        return "other"  # a pipe or a device: opening it might wait for ever
    if suffix_of(entry.name):
        return "image"
    if entry.name.lower() in _NO_IMAGE or not entry.is_file():
        return "other"
    return "image" if sniff(head_of(Path(entry.path))) else "other"


def head_of(path: Path) -> bytes:
    """The first bytes of a file, enough to tell its format; none if it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def is_there(path: Path) -> bool:
    """Whether a file or folder is there; what can't be a name is not."""
    return _mode(path) != 0


def size_of(path: Path) -> int | None:
    """The size of a file; None if there is none, or it is no file."""
    return path.stat().st_size if stat.S_ISREG(_mode(path)) else None


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
