"""SHA-256 of files, read again only where size or time has changed since."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medray._types import Progress
from medray.errors import DataError
from medray.files import cache_folder, write_file_by


def hash_files(paths: Sequence[Path], progress: Progress) -> list[str]:
    """The SHA-256 of each file, as hexadecimal digits; that of one that can't be read is of its name.

    Raises:
        DataError: there are no files.
    """
    if not paths:
        raise DataError("no files")
    index = cache_folder("hashes") / f"{hashlib.sha256(str(paths[0].parent).encode()).hexdigest()[:32]}.json"
    known: dict[str, list[object]] = {}
    with contextlib.suppress(OSError, ValueError):
        known = dict(json.loads(index.read_text()))
    found: list[str] = []
    fresh: dict[str, list[object]] = {}
    with ThreadPoolExecutor() as pool:
        for place, (path, facts) in enumerate(
            zip(paths, pool.map(lambda p: _facts(p, known), paths), strict=True)
        ):
            found.append(str(facts[-1]))
            fresh[str(path)] = facts
            progress("Reading", place + 1, len(paths))
    if fresh != known:
        with contextlib.suppress(OSError):  # it only saves time
            index.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file_by(index, lambda path: path.write_text(json.dumps(fresh)))
    return found


def hash_file(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits; an OSError where it can't be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _facts(path: Path, known: dict[str, list[object]]) -> list[object]:
    """Size, time of the last change in nanoseconds, and SHA-256."""
    try:
        stat = path.stat()
        own = known.get(str(path))
        if own is not None and own[:2] == [stat.st_size, stat.st_mtime_ns]:
            return own
        return [stat.st_size, stat.st_mtime_ns, hash_file(path)]
    except OSError:
        return [0, 0, hashlib.sha256(f"unreadable {path}".encode()).hexdigest()]
