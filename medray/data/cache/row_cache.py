"""RowCache: rows of numbers by position, computed when they are first needed and kept on disk by content.

An entry is `<key>.npy`, numbers (N, ...), and `<key>.done.npy`, bool (N,), which says of which positions there
are rows. Both are mapped, so that all processes of a machine share them. Who computes rows holds a lock on
`<key>.lock`: others that need them wait, and nothing is computed twice. Who opens or deletes an entry holds it,
too, as marks without their rows would make zeros of them. Entries unused for longest go beyond the cache's limit.
Machines do not see at once what others write to a mapped file: on a network's disk each has a folder of its own.
"""

import contextlib
import fcntl
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from medray._types import Array
from medray.data.cache.array_cache import LIMIT, size_limit
from medray.data.cache.network_mounts import on_network
from medray.errors import MedrayError, os_error_line
from medray.files import CACHE_HINT, cache_folder

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

KIND = "features"
LARGEST_SHARE = 0.5  # of the cache's limit, of one entry
FORGOTTEN_S = 30 * 86400.0  # unused for so long, entries of other machines go


class RowCache:
    """Rows (N, ...) of one key, some of which are there; `why_in_memory` is None where they are on disk."""

    def __init__(
        self, key: str, rows: int, shape: tuple[int, ...], kind: "DTypeLike" = np.float16, *, on_disk: bool = True
    ) -> None:
        """Open or create the entry `key`, of rows of `shape` and numbers of some `kind`.

        It is in memory where it shall not be `on_disk`, and where the cache can't be written.
        """
        self._lock: Path | None = None
        self.why_in_memory: str | None = None
        size = (rows, *shape)
        try:
            if not on_disk:
                raise MedrayError(
                    f"they take more than half of {size_limit() / 2**30:.3g} GiB; ${LIMIT} sets another limit"
                )
            folder = rows_folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = folder / f"{key}.lock"
            with _locked(self._lock):
                self._rows, self._done = _mapped(folder / f"{key}.npy", np.dtype(kind), size)
        except (OSError, ValueError, MedrayError) as error:
            line = os_error_line(error, str(rows_folder())) if isinstance(error, OSError) else None
            self.why_in_memory = f"{line}; {CACHE_HINT}" if line else str(error)
            self._lock = None
            self._rows, self._done = np.zeros(size, kind), np.zeros(rows, bool)

    def missing(self, positions: Array) -> Array:
        """Return those of the positions (n,) that have no row yet."""
        absent: Array = positions[~self._done[positions]]
        return absent

    def fill(self, positions: Array, compute: Callable[[Array], Iterator[tuple[Array, Array]]]) -> None:
        """Compute the rows (n, ...) of positions that are missing.

        `compute` takes the missing positions and yields some of them with their rows, until all are done.
        """
        if not len(self.missing(positions)):
            return
        with _locked(self._lock) if self._lock else contextlib.nullcontext():
            missing = self.missing(positions)
            if not len(missing):  # others have filled them meanwhile
                return
            for done, rows in compute(missing):
                self._rows[done] = rows
                if isinstance(self._rows, np.memmap):  # the rows are on disk before the mark is
                    self._rows.flush()
                self._done[done] = True

    def take(self, positions: Array) -> Array:
        """Return a copy of the rows at positions (n,) that have been filled, (n, ...)."""
        return np.asarray(self._rows[positions])


def rows_folder() -> Path:
    """Return the folder of this machine's entries.

    Raises:
        ConfigError: this user has no home folder, and no variable names another.
    """
    folder = cache_folder(KIND)
    return folder / socket.gethostname() if on_network(folder) else folder


def fits(rows: int, shape: tuple[int, ...], kind: "DTypeLike") -> bool:
    """Return whether rows of that shape and kind may be kept: they take no more than half of the cache."""
    return rows * int(np.prod(shape)) * np.dtype(kind).itemsize <= LARGEST_SHARE * size_limit()


@contextlib.contextmanager
def _locked(lock: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock's file, which whoever holds it may delete; gives False where another has it, without `wait`."""
    while True:
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError:  # a file system without locks
                pass
            if _is_at(lock, file):  # else it was deleted meanwhile, and another one is the lock now
                yield True
                return


def _is_at(path: Path, file: IO[str]) -> bool:
    """Return whether an open file is the one at a path."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _mapped(path: Path, kind: "np.dtype[np.generic]", shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Map rows and their marks for reading and writing; those that are new, or of another shape, are all zeros."""
    marks = _marks(path)
    rows = _opened(path, kind, shape)
    if rows is None:
        marks.unlink(missing_ok=True)  # of rows that are gone
        rows = _made(path, kind, shape)
    done = _opened(marks, np.dtype(bool), shape[:1])
    return rows, _made(marks, np.dtype(bool), shape[:1]) if done is None else done


def _marks(path: Path) -> Path:
    """Return the file of marks of a file of rows."""
    return path.with_suffix(".done.npy")


def _opened(path: Path, kind: "np.dtype[np.generic]", shape: tuple[int, ...]) -> Array | None:
    """Map a file that is there, whole and of this kind and shape; None of another."""
    with contextlib.suppress(ValueError, OSError):
        size = path.stat().st_size  # numpy fills up with zeros what has been cut off
        array: np.memmap[Any, Any] = np.load(path, mmap_mode="r+", allow_pickle=False)
        if array.shape == shape and array.dtype == kind and array.offset + array.nbytes <= size:
            os.utime(path)
            return array
    return None


def _made(path: Path, kind: "np.dtype[np.generic]", shape: tuple[int, ...]) -> Array:
    """Map a new file of zeros."""
    _make_room(int(np.prod(shape)) * kind.itemsize)
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        array: Array = np.lib.format.open_memmap(partial, "w+", kind, shape)
        if hasattr(os, "posix_fallocate"):  # on a full disk, writing to mapped memory would end the process
            with partial.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
        partial.replace(path)
        return array
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Entry:
    """One entry: its file, bytes, last use (seconds since 1970), and the shape (N, ...) of its rows.

    `own` is whether it is this machine's.
    """

    path: Path
    bytes: int
    used: float
    shape: tuple[int, ...]
    own: bool


def entries() -> list[Entry]:
    """Return what the cache holds, also of other machines, the entry used longest ago first."""
    result, home = [], rows_folder()
    for path in cache_folder(KIND).rglob("*.npy"):
        if not path.name.endswith(".done.npy"):
            with contextlib.suppress(OSError, ValueError):
                stat, rows = path.stat(), np.load(path, mmap_mode="r", allow_pickle=False)
                result.append(Entry(path, stat.st_size, stat.st_mtime, rows.shape, path.parent == home))
    return sorted(result, key=lambda entry: entry.used)


def delete(path: Path) -> bool:
    """Delete an entry by its file; processes that have it mapped keep it.

    Returns False where it stays, as rows of it are being computed.
    """
    lock = path.with_suffix(".lock")
    with _locked(lock, wait=False) as held:
        if held:
            for file in (_marks(path), path, lock):
                file.unlink(missing_ok=True)
    return held


def _make_room(size: int) -> None:
    limit, cached = size_limit(), []
    for entry in entries():
        if entry.own:
            cached.append(entry)
        elif time.time() - entry.used > FORGOTTEN_S:  # of a machine that has had another name, or is no more
            delete(entry.path)
    total = sum(entry.bytes for entry in cached)
    for entry in cached:
        if total + size <= limit:
            return
        if delete(entry.path):
            total -= entry.bytes
