"""Files and folders: user paths, the cache folder, and writing a file atomically."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from medray.errors import RunError

if TYPE_CHECKING:
    pass
if TYPE_CHECKING:
    pass

VARIABLE = "MEDRAY_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder for one kind of files: in $MEDRAY_CACHE, or medray's part of the user's own cache."""
    own = os.environ.get(VARIABLE)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medray"
    return (Path(own) if own else home) / kind


def expanded(path: str) -> Path:
    """A path as a person writes it, with the home folder for a tilde; the tilde of nobody stays one."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path's own fails for the home of nobody


def write_file(path: Path, content: bytes, *, parents: bool = False) -> None:
    """Write a file whole or not at all, and the folders that it lies in if `parents`.

    Raises:
        RunError: it can't be written.
    """

    unfinished = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
