"""The cache of decoded images: arrays by content, memory-mapped, the oldest deleted beyond a limit.

An entry is `<key>.npy`, uint8 (N, H, W, C), and `<key>.json`, written last. Whoever uses one makes it new again.
Who writes one holds a lock on its array until then; without a lock it was left by a process that was killed.
"""

import contextlib
import fcntl
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.files import cache_folder, write_file_by

KIND = "images"
LIMIT = "MEDRAY_CACHE_GIB"
USUAL_LIMIT = 20.0  # GiB


@dataclass(frozen=True)
class Entry:
    """One cached array: its `bytes` on disk, when it was last used (seconds since 1970), and its source."""

    key: str
    bytes: int
    used: float
    facts: dict[str, Any]


@dataclass(frozen=True)
class Mapped:
    """An array, read-only, that is mapped from a file."""

    array: Array
    path: Path


def limit() -> float:
    """The most bytes that the cache may hold.

    Raises:
        ConfigError: $MEDRAY_CACHE_GIB is no number above 0.
    """
    said = os.environ.get(LIMIT, str(USUAL_LIMIT))
    try:
        gib = float(said)
    except ValueError:
        gib = 0.0
    if not gib > 0:
        raise ConfigError(f"{LIMIT} is '{said}'; it must be a number of GiB above 0")
    return gib * 2**30


def entries() -> list[Entry]:
    """What the cache holds, the one used last first."""
    found = []
    for path in cache_folder(KIND).glob("*.json"):
        array = path.with_suffix(".npy")
        with contextlib.suppress(OSError, ValueError):
            stat = array.stat()
            found.append(Entry(path.stem, stat.st_size, stat.st_mtime, json.loads(path.read_text())))
    return sorted(found, key=lambda entry: -entry.used)


def leftovers() -> dict[Path, int]:
    """The arrays of processes that were killed while they wrote them, and their bytes; none of one that runs."""
    found = {}
    with contextlib.suppress(OSError):
        for path in cache_folder(KIND).iterdir():
            with contextlib.suppress(OSError):
                if _is_unfinished(path) and not _is_held(path):
                    found[path] = path.stat().st_size
    return found


def delete_leftovers() -> int:
    """Delete them, and return how many there were."""
    left = leftovers()
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def too_large(images: Array) -> list[str]:
    """The line for an array that is more than the cache may hold: it is kept, as training needs it."""
    if images.nbytes <= limit():
        return []
    told = f"{images.nbytes / 2**30:.3g} GiB, more than the {limit() / 2**30:.6g} of ${LIMIT}"
    return [f"the decoded images alone take {told}; they are kept, and nothing beside them"]


def _is_unfinished(path: Path) -> bool:
    if path.suffix == ".npy":
        return not path.with_suffix(".json").exists()
    return re.fullmatch(r"\..+-[0-9a-f]{32}", path.name) is not None


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Make a file and hold it, also under another name, until the block ends or the process does."""
    with path.open("wb") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_held(path: Path) -> bool:
    """Whether a process writes the file; where that can't be told, one does."""
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def find(key: str) -> tuple[Mapped, dict[str, Any]] | None:
    """The array of a key, read-only and mapped from its file, and its facts; None where there is none."""
    path = cache_folder(KIND) / f"{key}.npy"
    try:
        facts = json.loads(path.with_suffix(".json").read_text())
        images = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if list(images.shape) != facts["shape"]:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Mapped(images, path), facts


def find_or_make(key: str, make: Callable[[], None], source: str) -> tuple[Mapped, dict[str, Any]]:
    """The array of a key and its facts, as `find` gives them; `make` writes it where there is none.

    Raises:
        DataError: it was lost right after it was written.
    """
    held = find(key)
    if held is None:
        make()
        held = find(key)
    if held is None:
        raise DataError(f"{source}: the cache lost what was written to it just now")
    return held


@contextlib.contextmanager
def new_array(key: str, shape: tuple[int, ...], facts: dict[str, Any]) -> Iterator[Array]:
    """An array to be filled, which is kept under `key` once the block has ended without an error.

    `facts` are read at its end.

    Raises:
        DataError: the disk is full, or the cache can't be written.
    """
    folder = cache_folder(KIND)
    path, partial = folder / f"{key}.npy", folder / f".{key}-{uuid.uuid4().hex}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(int(np.prod(shape)))
        with _held(partial):
            images = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
            _reserve(partial)
            yield images
            images.flush()
            partial.replace(path)
            content = json.dumps({**facts, "shape": list(shape)})
            write_file_by(path.with_suffix(".json"), lambda file: file.write_text(content))
    except OSError as error:
        raise DataError(f"the cache {folder} can't be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)


def _reserve(path: Path) -> None:
    """Have the disk keep the room of a file: what is mapped would end the process where it is full."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def delete(key: str) -> None:
    """Delete an entry, if it is there; whoever has it mapped keeps it."""
    path = cache_folder(KIND) / key
    for suffix in (".json", ".npy"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _make_room(wanted: int) -> None:
    """Delete what was used longest ago until `wanted` bytes more are within the limit, and what was left over."""
    delete_leftovers()
    most, held = limit(), entries()
    total = sum(entry.bytes for entry in held)
    for entry in reversed(held):
        if total + wanted <= most:
            return
        delete(entry.key)
        total -= entry.bytes
