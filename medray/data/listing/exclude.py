"""Folders that are left out by their names, and folders of masks, which nobody can have meant as images."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from medray.data.listing.folder_image import Placed
from medray.data.listing.folder_names import tidy
from medray.data.listing.scan import FoundFiles
from medray.data.source import EXCLUDE
from medray.errors import DataError, nearest, printable

_MASKS = ("mask", "masks")
_LISTED = 10  # folders that a refusal names


def exclude(found: FoundFiles, written: str | None) -> tuple[FoundFiles, list[str]]:
    """Return the files without all folders, at any depth, of the names in `written`, and what to note.

    The names have commas between them; upper and lower case are one. None leaves nothing out.

    Raises:
        DataError: there is no folder of such a name, no name is given, or no image is left.
    """
    if written is None:
        return found, []
    names = {_plain(name): printable(tidy(name)) for name in written.split(",") if name.strip()}
    if not names:
        raise DataError(f"{found.root}: option '{EXCLUDE}' names no folder; valid: {_folders(found)}")
    folders = Counter(_plain(_last(folder)) for folder in found.folders)
    for plain, name in names.items():
        if not folders[plain]:
            raise _no_folder(found, name)
    images, others = (_counts(files, names) for files in (found.images, found.ignored))
    if found.images and images.total() == len(found.images):
        raise DataError(f"{found.root}: option '{EXCLUDE}' leaves none of the {len(found.images)} images")
    notes = [
        f"left out by {EXCLUDE}: '{name}' (folders: {folders[plain]}, images: {images[plain]}, "
        f"other files: {others[plain]})"
        for plain, name in names.items()
    ]
    return _left(found, names), notes


def check_masks(found: FoundFiles, placed: Iterable[Placed]) -> None:
    """Refuse folders of masks below those of classes: a mask would become a film of that class.

    Raises:
        DataError: there is one.
    """
    masks = [(image, name) for image in placed for name in image.below[:-1] if _plain(name) in _MASKS]
    if masks:
        first, name = masks[0]
        names = sorted({_plain(name) for _, name in masks})
        count = "an image lies" if len(masks) == 1 else f"{len(masks)} images lie"
        raise DataError(
            f"{found.root}: {count} in folders of masks below those of classes, as '{printable(name)}' below "
            f"'{first.label}'{leave_out(*names)}"
        )


def leave_out(*names: str) -> str:
    """The end of a refusal: how the source leaves out the folders of these names."""
    return f"; `?{EXCLUDE}={','.join(map(printable, names))}` behind the source leaves such folders out"


def _plain(name: str) -> str:
    """A name as it is compared: however its accents are written, in upper or lower case."""
    return unicodedata.normalize("NFC", tidy(name).casefold())


def _last(folder: str) -> str:
    return folder.rpartition("/")[2]


def _within(path: str, names: Iterable[str]) -> str | None:
    """The name among these of the outermost folder that a file lies in, if any."""
    return next((plain for part in path.split("/")[:-1] if (plain := _plain(part)) in names), None)


def _counts(files: Iterable[str], names: Iterable[str]) -> Counter[str]:
    return Counter(plain for file in files if (plain := _within(file, names)))


def _left(found: FoundFiles, names: Iterable[str]) -> FoundFiles:
    return replace(
        found,
        images=tuple(image for image in found.images if not _within(image, names)),
        ignored=tuple(file for file in found.ignored if not _within(file, names)),
        folders=tuple(folder for folder in found.folders if not _within(f"{folder}/", names)),
    )


def _no_folder(found: FoundFiles, name: str) -> DataError:
    hint = nearest(name, map(_last, found.folders))
    return DataError(f"{found.root}: option '{EXCLUDE}': no folder '{name}'{hint}; valid: {_folders(found)}")


def _folders(found: FoundFiles) -> str:
    names: Sequence[str] = sorted({printable(_last(folder)) for folder in found.folders})
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED]) or 'none'}{more}"
