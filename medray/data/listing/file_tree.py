"""Find the files below a folder: which are images, which are not, and which folders there are."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from medray.data.decoding import sniff
from medray.errors import DataError, not_found_line, printable
from medray.files import path_exists

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
IMAGE_SUFFIXES = DICOM_SUFFIXES | {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
UNREAD_SUFFIXES = frozenset({".gif", ".webp"})  # images that are not decoded: an error names them
# Left behind by operating systems, besides hidden files; ignored without a word.
SYSTEM_NAMES = frozenset({
    "__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information", "lost+found",
    "icon\r",
})  # fmt: skip
DICOM_INDEX = "dicomdir"  # the index of a medium: DICOM, but without pixels
HEAD_BYTES = 256  # enough to recognise every format


@dataclass(frozen=True)
class FileTree:
    """The paths below `root`, written with "/", each tuple sorted.

    `folders` includes those without images; `ignored` are the files that are no images, and links to a folder that
    they lie in.
    """

    root: Path
    images: tuple[str, ...]
    ignored: tuple[str, ...]
    folders: tuple[str, ...]

    def subfolders(self, prefix: str = "") -> list[str]:
        """Return the names of the folders just below a folder, whose path `prefix` ends in "/"."""
        names = (folder.removeprefix(prefix) for folder in self.folders if folder.startswith(prefix))
        return [name for name in names if name and "/" not in name]

    def image_subfolders(self, prefix: str = "") -> list[str]:
        """Return the names of those subfolders that have images below, sorted."""
        paths = (image.removeprefix(prefix) for image in self.images if image.startswith(prefix))
        return sorted({path.partition("/")[0] for path in paths if "/" in path})


def find_files(root: Path) -> FileTree:
    """Find the files below a folder, except hidden ones and what operating systems leave behind.

    A file is an image by its suffix, in upper or lower case, whatever its content, including formats that are not
    decoded; one without a known suffix is an image by its first bytes. Links are followed.

    Raises:
        DataError: there is no such folder, or one below it can't be read.
    """
    if not path_exists(root):
        raise DataError(not_found_line("folder", root))
    if not root.is_dir():
        raise DataError(f"{root} is a file, not a folder")
    images: list[str] = []
    ignored: list[str] = []
    folders: list[str] = []
    # Folders to list, each with its identity and those of the folders that it lies in.
    pending: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", (_identity(root.stat()),))]
    while pending:
        prefix, parents = pending.pop()
        for entry in _list_folder(root / prefix):
            path = prefix + entry.name
            if not entry.is_dir():
                (images if _is_image(entry) else ignored).append(path)
            elif (identity := _identity(entry.stat())) in parents:
                ignored.append(path)
            else:
                folders.append(path)
                pending.append((f"{path}/", (*parents, identity)))
    return FileTree(root, tuple(sorted(images)), tuple(sorted(ignored)), tuple(sorted(folders)))


def _list_folder(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in SYSTEM_NAMES]
    except OSError as error:
        raise DataError(f"{printable(str(folder))} can't be read: {error.strerror}") from None


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Return whether a file is an image by its name or first bytes."""
    if not entry.is_file():
        # Opening a pipe or a device might wait for ever; a broken link is reported later, as an unreadable image.
        return entry.is_symlink() and image_suffix(entry.name) != ""
    if image_suffix(entry.name):
        return True
    return entry.name.lower() != DICOM_INDEX and sniff(read_head(Path(entry.path))) is not None


def image_suffix(name: str) -> str:
    """Return the suffix in lower case if it is an image's, else an empty string: "1.2.840.10008" has none."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  a Path for each of many files is slow
    return suffix if suffix in IMAGE_SUFFIXES | UNREAD_SUFFIXES else ""


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, enough to recognise its format; none if it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def file_size(path: Path | str) -> int | None:
    """Return the size of a file in bytes, None if it does not exist or is no regular file."""
    try:
        facts = os.stat(path)  # noqa: PTH116  a Path for each of many cells is slow
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    return facts.st_size if stat.S_ISREG(facts.st_mode) else None
