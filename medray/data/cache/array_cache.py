"""The cache of decoded images: arrays by content, memory-mapped; those unused for longest go beyond a limit.

An entry is `<key>.npy`, uint8 (N, H, W, C), and `<key>.json`, which is written last. Using an entry refreshes its
mtime. A writer locks the array until the JSON is written; an unlocked array without JSON was left by a killed
process.
"""

import contextlib
import fcntl
import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.files import CACHE_HINT, cache_folder, write_file_by

KIND = "images"
LIMIT = "MEDRAY_CACHE_GIB"
DEFAULT_LIMIT = 20.0  # GiB


@dataclass
class ArrayFacts:
    """What is known of an array's images besides their pixels.

    `done` counts the images by what was done to them. `broken` is why images can't be converted, by their index.
    `levels` are the grey levels of images of one or two, by their index.
    """

    source: str
    done: Counter[str] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)
    levels: dict[int, int] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, document: Any) -> "ArrayFacts":
        """Read what `to_dict` gives; a KeyError, TypeError, ValueError or AttributeError where it is another."""
        broken = {int(index): str(reason) for index, reason in document["broken"].items()}
        levels = {int(index): int(count) for index, count in document["levels"].items()}
        return cls(str(document["source"]), Counter(document["done"]), broken, levels)

    def to_dict(self) -> dict[str, object]:
        """Return the facts as JSON."""
        facts = {"broken": self.broken, "levels": self.levels, "done": dict(self.done)}
        return {"source": self.source, **facts}


@dataclass(frozen=True)
class Entry:
    """One cached array: its `bytes` on disk, and when it was last used (seconds since 1970)."""

    key: str
    bytes: int
    used: float
    shape: tuple[int, ...]
    facts: ArrayFacts


@dataclass(frozen=True)
class CachedArray:
    """An array, read-only, mapped from the file `path`."""

    array: Array
    path: Path
    facts: ArrayFacts


@dataclass(frozen=True)
class NewArray:
    """An array to be filled, and its facts to be completed."""

    array: Array
    facts: ArrayFacts


def size_limit() -> float:
    """Return the most bytes that the cache may hold.

    Raises:
        ConfigError: $MEDRAY_CACHE_GIB is no number above 0.
    """
    value = os.environ.get(LIMIT, str(DEFAULT_LIMIT))
    try:
        gib = float(value)
    except ValueError:
        gib = 0.0
    if not gib > 0:
        raise ConfigError(f"{LIMIT} is '{value}'; it must be a number of GiB above 0")
    return gib * 2**30


def entries() -> list[Entry]:
    """Return what the cache holds, the entry used last first."""
    result = []
    for path in cache_folder(KIND).glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            stat = path.with_suffix(".npy").stat()
            document = json.loads(path.read_text())
            shape, facts = tuple(document["shape"]), ArrayFacts.from_dict(document)
            result.append(Entry(path.stem, stat.st_size, stat.st_mtime, shape, facts))
    return sorted(result, key=lambda entry: -entry.used)


def leftovers() -> dict[Path, int]:
    """Return the unfinished arrays of processes that were killed, and their bytes; none of a running process."""
    result = {}
    with contextlib.suppress(OSError):
        for path in cache_folder(KIND).iterdir():
            if path.suffix == ".npy":
                unfinished = not path.with_suffix(".json").exists()
            else:
                unfinished = re.fullmatch(r"\..+-[0-9a-f]{32}", path.name) is not None
            with contextlib.suppress(OSError):
                if unfinished and not _is_locked(path):
                    result[path] = path.stat().st_size
    return result


def delete_leftovers() -> int:
    """Delete the leftovers, and return how many there were."""
    paths = leftovers()
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _is_locked(path: Path) -> bool:
    """Return whether a process writes the file; True where the file system has no locks."""
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def oversize_notes(images: Array) -> list[str]:
    """Return the note on an array that alone exceeds the limit: it is kept, as training needs it."""
    if images.nbytes <= size_limit():
        return []
    sizes = f"{images.nbytes / 2**30:.3g} GiB, more than the {size_limit() / 2**30:.6g} of ${LIMIT}"
    return [f"the decoded images alone take {sizes}; they are kept, and nothing beside them"]


def find(key: str) -> CachedArray | None:
    """Return the array of a key; None where there is none."""
    path = cache_folder(KIND) / f"{key}.npy"
    try:
        document = json.loads(path.with_suffix(".json").read_text())
        facts = ArrayFacts.from_dict(document)
        images = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if list(images.shape) != document["shape"]:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return CachedArray(images, path, facts)


def find_or_make(key: str, make: Callable[[], None], source: str) -> CachedArray:
    """Return the array of a key; `make` writes it where there is none.

    Raises:
        DataError: it was lost right after it was written.
    """
    cached = find(key)
    if cached is None:
        make()
        cached = find(key)
    if cached is None:
        raise DataError(f"{source}: the cache lost what was written to it just now")
    return cached


@contextlib.contextmanager
def new_array(key: str, shape: tuple[int, ...], source: str) -> Iterator[NewArray]:
    """Yield an array to be filled, which is kept under `key` once the block has ended without an error.

    Its facts are written at the end of the block.

    Raises:
        DataError: the disk is full, or the cache can't be written.
    """
    folder = cache_folder(KIND)
    path, partial = folder / f"{key}.npy", folder / f".{key}-{uuid.uuid4().hex}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(int(np.prod(shape)))
        with partial.open("wb") as file:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            images = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
            if hasattr(os, "posix_fallocate"):  # on a full disk, writing to mapped memory would end the process
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
            facts = ArrayFacts(source)
            yield NewArray(images, facts)
            images.flush()
            partial.replace(path)
            content = json.dumps(facts.to_dict() | {"shape": list(shape)})
            write_file_by(path.with_suffix(".json"), lambda document: document.write_text(content))
    except OSError as error:
        raise DataError(f"the cache {folder} can't be written: {error.strerror or error}; {CACHE_HINT}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def delete(key: str) -> None:
    """Delete an entry, if it exists; processes that have it mapped keep it."""
    for suffix in (".json", ".npy"):
        (cache_folder(KIND) / f"{key}{suffix}").unlink(missing_ok=True)


def _make_room(size: int) -> None:
    """Delete leftovers, and the entries unused for longest until `size` more bytes are within the limit."""
    delete_leftovers()
    limit, cached = size_limit(), entries()
    total = sum(entry.bytes for entry in cached)
    for entry in reversed(cached):
        if total + size <= limit:
            return
        delete(entry.key)
        total -= entry.bytes
