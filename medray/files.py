"""Files and folders: user paths, the cache folder, writing a file whole or not at all, facts in weights."""

import contextlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medray.errors import ConfigError, RunError, WeightsError, one_line

VARIABLE = "MEDRAY_CACHE"
CACHE_HINT = f"set ${VARIABLE} to a folder that can be written, on a disk with room"
UNFINISHED = ".partial-"  # in the name of a file that is being written, or was when its process was killed


def cache_folder(kind: str) -> Path:
    """Return the cache folder for one kind of files: in $MEDRAY_CACHE, or in the user's own cache folder.

    Raises:
        ConfigError: this user has no home folder, and no variable names another.
    """
    if named := os.environ.get(VARIABLE):
        return expanded(named) / kind
    default = Path(os.environ.get("XDG_CACHE_HOME") or expanded("~/.cache"))
    if not default.is_absolute():  # XDG says to ignore such a path; a ~ is left where there is no home
        raise ConfigError(f"no home folder for the cache: {CACHE_HINT}")
    return default / "medray" / kind


def expanded(path: str) -> Path:
    """Return a path as a person writes it, with ~ expanded; the ~name of no user stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser raises for the ~name of no user


def path_exists(path: Path) -> bool:
    """Return whether a file or folder exists; a name that no file can have does not."""
    return os.path.exists(path)  # noqa: PTH110  Path.exists raises for names that are too long


def file_exists(path: Path) -> bool:
    """Return whether there is a file; a name that no file can have, or that may not be looked at, has none."""
    return os.path.isfile(path)  # noqa: PTH113  Path.is_file raises for these


def folder_exists(path: Path) -> bool:
    """Return whether there is a folder; likewise."""
    return os.path.isdir(path)  # noqa: PTH112


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and make the folders that it lies in.

    Raises:
        RunError: it can't be written.
    """
    try:
        write_file_by(path, lambda unfinished: unfinished.write_bytes(content))
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}") from None


def write_file_by(path: Path, writer: Callable[[Path], object]) -> None:
    """Write a file whole or not at all by a `writer` that takes a path, and make the folders that it lies in.

    Readers find the old file or the new one. The writer gets a name in the same folder that no other process uses.

    Raises:
        OSError: it can't be written.
    """
    unfinished = path.with_name(f"{path.name}{UNFINISHED}{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(unfinished)
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def facts_in_weights(content: bytes, name: str) -> dict[str, Any]:
    """Return the facts in the metadata of a safetensors file's content; `name` is the file's name in errors.

    Raises:
        WeightsError: it is no safetensors file of medray.
    """
    try:
        size = int.from_bytes(content[:8], "little")
        return dict(json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["medray"]))
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{name} holds no weights of medray: {one_line(error)}") from None
