"""SHA-256 of files, read again only where size or time has changed since."""

import contextlib
import hashlib
import json
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from medray._types import Progress
from medray.errors import DataError
from medray.files import cache_folder


class FileHash(NamedTuple):
    """A file's SHA-256 as hexadecimal digits, and the size and mtime (in nanoseconds) that it is of."""

    size: int
    mtime: int
    sha256: str


def hash_files(paths: Sequence[Path], progress: Progress) -> list[str]:
    """Return the SHA-256 of each file as hexadecimal digits; for an unreadable file, that of its name.

    Raises:
        DataError: there are no files.
    """
    if not paths:
        raise DataError("no files")
    index = cache_folder("hashes") / f"{hashlib.sha256(str(paths[0].parent).encode()).hexdigest()[:32]}.json"
    known: dict[str, FileHash] = {}
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        known = {path: FileHash(*entry) for path, entry in json.loads(index.read_text()).items()}

    def update(path: Path) -> FileHash:
        try:
            stat, entry = path.stat(), known.get(str(path))
            if entry is not None and (entry.size, entry.mtime) == (stat.st_size, stat.st_mtime_ns):
                return entry
            return FileHash(stat.st_size, stat.st_mtime_ns, hash_file(path))
        except OSError:
            return FileHash(0, 0, hashlib.sha256(f"unreadable {path}".encode()).hexdigest())

    current: list[FileHash] = []
    with ThreadPoolExecutor() as pool:
        for entry in pool.map(update, paths):
            current.append(entry)
            progress("Reading", len(current), len(paths))
    fresh = dict(zip(map(str, paths), current, strict=True))
    if fresh != known:
        with contextlib.suppress(OSError):  # it only saves time
            index.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = index.with_suffix(f".{uuid.uuid4().hex}")
            partial.write_text(json.dumps(fresh))
            partial.replace(index)
    return [entry.sha256 for entry in current]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
