"""RowCache: rows of numbers by position, computed when they are first needed and kept on disk by content.

An entry is `<key>.npy`, numbers (N, ...), and `<key>.done.npy`, bool (N,), which says of which positions there
are rows. Both are mapped, so that all processes of a machine share them. Who computes rows holds a lock on
`<key>.lock`: others that need them wait, and nothing is computed twice. Entries unused for longest go beyond
the cache's limit.
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medray._types import Array
from medray.data.cache.array_cache import size_limit
from medray.errors import MedrayError
from medray.files import cache_folder

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

KIND = "features"
LARGEST_SHARE = 0.5  # of the cache's limit, of one entry


class RowCache:
    """Rows (N, ...) of one key, some of which are there."""

    def __init__(
        self, key: str, rows: int, shape: tuple[int, ...], kind: "DTypeLike" = np.float16, *, on_disk: bool = True
    ) -> None:
        """Open or create the entry `key`, of rows of `shape` and numbers of some `kind`.

        It is in memory where it shall not be `on_disk`, and where the cache can't be written.
        """
        self._lock: Path | None = None
        size = (rows, *shape)
        try:
            if not on_disk:
                raise OSError
            folder = cache_folder(KIND)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = folder / f"{key}.lock"
            with self._locked():
                self._rows = _mapped(folder / f"{key}.npy", np.dtype(kind), size)
                self._done = _mapped(folder / f"{key}.done.npy", np.dtype(bool), (rows,))
        except (OSError, ValueError, MedrayError):
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
        with self._locked():
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

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self._lock is None:
            yield
            return
        with self._lock.open("a") as file:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def fits(rows: int, shape: tuple[int, ...], kind: "DTypeLike") -> bool:
    """Return whether rows of that shape and kind may be kept: they take no more than half of the cache."""
    return rows * int(np.prod(shape)) * np.dtype(kind).itemsize <= LARGEST_SHARE * size_limit()


def _mapped(path: Path, kind: "np.dtype[np.generic]", shape: tuple[int, ...]) -> Array:
    """Map an array for reading and writing; one that is new, or of another shape, is all zeros."""
    if path.exists():
        with contextlib.suppress(ValueError, OSError):
            array: Array = np.load(path, mmap_mode="r+", allow_pickle=False)
            if array.shape == shape and array.dtype == kind:
                os.utime(path)
                return array
    _make_room(int(np.prod(shape)) * kind.itemsize)
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        array = np.lib.format.open_memmap(partial, "w+", kind, shape)
        if hasattr(os, "posix_fallocate"):  # on a full disk, writing to mapped memory would end the process
            with partial.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
        partial.replace(path)
        return array
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Entry:
    """One entry: its file, bytes, last use (seconds since 1970), and the shape (N, ...) of its rows."""

    path: Path
    bytes: int
    used: float
    shape: tuple[int, ...]


def entries() -> list[Entry]:
    """Return what the cache holds, the entry used longest ago first."""
    result = []
    for path in cache_folder(KIND).glob("*.npy"):
        if not path.name.endswith(".done.npy"):
            with contextlib.suppress(OSError, ValueError):
                stat, rows = path.stat(), np.load(path, mmap_mode="r", allow_pickle=False)
                result.append(Entry(path, stat.st_size, stat.st_mtime, rows.shape))
    return sorted(result, key=lambda entry: entry.used)


def delete(path: Path) -> None:
    """Delete an entry by its file; processes that have it mapped keep it."""
    for suffix in (".done.npy", ".npy", ".lock"):
        path.with_suffix(suffix).unlink(missing_ok=True)


def _make_room(size: int) -> None:
    limit, cached = size_limit(), entries()
    total = sum(entry.bytes for entry in cached)
    for entry in cached:
        if total + size <= limit:
            return
        delete(entry.path)
        total -= entry.bytes
