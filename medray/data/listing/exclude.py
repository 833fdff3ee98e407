"""Leave out folders by their names, and refuse folders of masks, which nobody can have meant as images."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from medray.data.listing.file_tree import FileTree
from medray.data.listing.folder_image import FolderImage
from medray.data.listing.folder_names import tidy
from medray.data.source import EXCLUDE
from medray.errors import DataError, nearest, printable
from medray.text import first_names

MASKS = ("mask", "masks")


def exclude_folders(tree: FileTree, option: str | None) -> tuple[FileTree, list[str]]:
    """Return the tree without all folders, at any depth, of the names in `option`, and a note on each name.

    The names are separated by commas; case does not matter. None leaves nothing out.

    Raises:
        DataError: there is no folder of such a name, no name is given, or no image is left.
    """
    if option is None:
        return tree, []
    excluded = {_normalised(name): printable(tidy(name)) for name in option.split(",") if name.strip()}
    names = [folder.rpartition("/")[2] for folder in tree.folders]
    valid = f"valid: {first_names(sorted({printable(name) for name in names}), 10) or 'none'}"
    if not excluded:
        raise DataError(f"{tree.root}: option '{EXCLUDE}' names no folder; {valid}")
    folders = Counter(map(_normalised, names))
    for key, name in excluded.items():
        if not folders[key]:
            raise DataError(f"{tree.root}: option '{EXCLUDE}': no folder '{name}'{nearest(name, names)}; {valid}")
    images, others = (
        Counter(outermost(path, excluded) for path in paths) for paths in (tree.images, tree.ignored)
    )
    if tree.images and not images[None]:
        raise DataError(f"{tree.root}: option '{EXCLUDE}' leaves none of the {len(tree.images)} images")
    kept = replace(
        tree,
        images=tuple(path for path in tree.images if not outermost(path, excluded)),
        ignored=tuple(path for path in tree.ignored if not outermost(path, excluded)),
        folders=tuple(path for path in tree.folders if not outermost(f"{path}/", excluded)),
    )
    return kept, [
        f"left out by {EXCLUDE}: '{name}' (folders: {folders[key]}, images: {images[key]}, "
        f"other files: {others[key]})"
        for key, name in excluded.items()
    ]


def outermost(path: str, names: Collection[str]) -> str | None:
    """Return the outermost parent folder of `path` whose normalised name is in `names`, or None."""
    return next((name for name in map(_normalised, path.split("/")[:-1]) if name in names), None)


def check_masks(tree: FileTree, images: Iterable[FolderImage]) -> None:
    """Refuse folders of masks below those of classes: a mask would become an image of that class.

    Raises:
        DataError: there is one.
    """
    masks = [(image, name) for image in images for name in image.below[:-1] if _normalised(name) in MASKS]
    if masks:
        image, name = masks[0]
        count = "an image lies" if len(masks) == 1 else f"{len(masks)} images lie"
        raise DataError(
            f"{tree.root}: {count} in folders of masks below those of classes, as '{printable(name)}' below "
            f"'{image.label}'{hint_to_exclude(*sorted({_normalised(name) for _, name in masks}))}"
        )


def hint_to_exclude(*names: str) -> str:
    """Return the end of an error's line: how the source leaves out the folders of these names."""
    return f"; `?{EXCLUDE}={','.join(map(printable, names))}` behind the source leaves such folders out"


def _normalised(name: str) -> str:
    """Return a name in the form in which names are compared: accents composed, case folded."""
    return unicodedata.normalize("NFC", tidy(name).casefold())
