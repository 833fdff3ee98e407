"""AuditLog: what the service answered, as JSON lines that a crash or a full disk can't spoil.

Each writer appends to files of its own, `audit-<writer>-NNNN.jsonl`, which it alone has made; so no line is
ever mixed with another's, and a new process never goes on after the torn line of one that died. A batch is
one `os.write`. Of a batch that did not fit, what was written is cut off again: a record is in the log or
the caller got an AuditError. Where even that fails the file is left behind, and the next batch begins a new
one. Nothing waits for the disk: a process may die at any time, but a power cut can take the last seconds.
"""

import json
import logging
import math
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from medray.errors import ConfigError, MedrayError

WRITER = re.compile(r"[A-Za-z0-9_.-]{1,128}")
FILE = re.compile(r"audit-(?P<writer>[A-Za-z0-9_.-]+)-(?P<number>[0-9]{4,})\.jsonl")
OPEN_FILES = 64  # that a reader has open at once

log = logging.getLogger("medray.serving")


class AuditError(MedrayError):
    """A record could not be written, or a log can't be read."""


class AuditLog:
    """The audit log of one writer; safe to be used by several threads.

    `folder` is made (mode 0700) where it is missing, files have mode 0600. A file that `max_bytes` would be
    exceeded in is closed and the next number begun; a batch is never split over two, so only one that is
    larger by itself makes a larger file. `keep` is how many files of this writer stay, None for all.

    Raises:
        ConfigError: the writer's name, `max_bytes` or `keep` is not allowed.
        AuditError: the folder or the first file can't be made.
    """

    def __init__(
        self, folder: str | Path, writer: str, *, max_bytes: int = 100 * 2**20, keep: int | None = None
    ) -> None:
        if not WRITER.fullmatch(writer):
            raise ConfigError(f"audit writer '{writer}' must be 1 to 128 of the characters A-Z a-z 0-9 _ . -")
        if max_bytes < 1:
            raise ConfigError(f"max_bytes of the audit log must be 1 or more, not {max_bytes}")
        if keep is not None and keep < 1:
            raise ConfigError(f"keep of the audit log must be 1 or more, or None for all, not {keep}")
        self.folder, self.writer, self.max_bytes, self.keep = Path(folder), writer, max_bytes, keep
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._open_next()

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append records as one JSON line each, all by one write, or none of them.

        Raises:
            ValueError: a record is not JSON, or holds NaN or infinity; nothing is written.
            AuditError: they could not be written; the next call tries anew.
        """
        content = b"".join(map(_line, records))
        if not content:
            return
        with self._lock:
            if self._fd is None:
                raise ValueError("the audit log is closed")
            if self._is_done(self._fd, len(content)):
                self._open_next()
            self._append(self._fd, content)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            fd, self._fd = self._fd, None
            self._close(fd)

    def __enter__(self) -> "AuditLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_done(self, fd: int, more: int) -> bool:
        """Whether the file must not be used further: torn, full, or deleted by somebody."""
        try:
            deleted = os.fstat(fd).st_nlink == 0
        except OSError:  # a network file system says so of a file that another machine deleted
            deleted = True
        return deleted or self._torn or 0 < self._size > self.max_bytes - more

    def _append(self, fd: int, content: bytes) -> None:
        try:
            written = os.write(fd, content)
        except OSError as error:
            self._undo(fd)
            raise AuditError(f"{self.path} can't be written: {error.strerror}") from None
        if written < len(content):
            self._undo(fd)
            raise AuditError(f"{self.path} took {written} of {len(content)} bytes; is the disk full?")
        self._size += written

    def _undo(self, fd: int) -> None:
        """Cut off what a failed write left; nobody else writes to this file."""
        try:
            if os.fstat(fd).st_size > self._size:
                os.ftruncate(fd, self._size)
        except OSError as error:
            self._torn = True
            log.error("%s keeps a damaged end: %s", self.path, error.strerror)

    def _open_next(self) -> None:
        """Begin the file of the next free number; the one before stays open where that fails."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = max(self._files(), default=0) + 1
            while True:
                path = self.folder / f"audit-{self.writer}-{number:04}.jsonl"
                try:
                    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
                    break
                except FileExistsError:
                    number += 1
        except OSError as error:
            raise AuditError(f"no audit file can be made in {self.folder}: {error.strerror}") from None
        self._close(self._fd)
        self._fd, self.path, self._size, self._torn = fd, path, 0, False
        self._delete_oldest()

    def _close(self, fd: int | None) -> None:
        try:
            if fd is not None:
                os.close(fd)
        except OSError as error:  # a network file system tells here that it lost what it had taken
            log.error("%s may lack its last records: %s", self.path, error.strerror)

    def _files(self) -> dict[int, Path]:
        """The files of this writer by their numbers."""
        return {number: path for writer, number, path in _listed(self.folder) if writer == self.writer}

    def _delete_oldest(self) -> None:
        if self.keep is None:
            return
        try:
            for _, path in sorted(self._files().items())[: -self.keep]:
                path.unlink(missing_ok=True)
        except OSError as error:  # too many files are no reason to refuse a request
            log.warning("old audit files in %s can't be deleted: %s", self.folder, error.strerror)


def _line(record: Mapping[str, Any]) -> bytes:
    """One record as ASCII; JSON writes a line break in a text as an escape, so a record is one line."""
    try:
        return json.dumps(dict(record), allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"an audit record can't be written as JSON: {error}") from error


def _listed(folder: Path) -> list[tuple[str, int, Path]]:
    """The audit files in a folder as (writer, number, path), in that order."""
    matches = [(FILE.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((match["writer"], int(match["number"]), path) for match, path in matches if match)


class Place(NamedTuple):
    """Where a record is: its time in seconds, then its file in the order of names, then its bytes there."""

    seconds: float
    file: int
    offset: int
    length: int


def read_audit(folder: str | Path) -> Iterator[dict[str, Any]]:
    """Return all writers' records in the order of their `time`, seconds since 1970 or ISO 8601.

    A time without a zone is UTC; a record without a time follows the one before it in its file. Records of
    one time come in the order of writers, then as they were written. A line that is damaged, or that has no
    end because its writer died or is just writing, is left out, and how many were is logged for each file.
    Memory holds a few numbers for each record, not the records.

    Raises:
        AuditError: the folder or a file can't be read, at once or when a file was deleted meanwhile.
    """
    folder = Path(folder)
    try:
        paths = [path for _, _, path in _listed(folder)]
        places = sorted(place for file, path in enumerate(paths) for place in _index(path, file))
    except OSError as error:
        raise AuditError(f"audit log {error.filename or folder} can't be read: {error.strerror}") from None
    return _records(paths, places)


def _index(path: Path, file: int) -> Iterator[Place]:
    damaged, offset, seconds = 0, 0, -math.inf
    with path.open("rb") as lines:
        for line in lines:
            record = _parse(line)
            if record is None:
                damaged += 1
            else:
                seconds = _seconds(record.get("time"), seconds)
                yield Place(seconds, file, offset, len(line))
            offset += len(line)
    if damaged:
        log.warning("%s: %d damaged lines were left out", path, damaged)


def _records(paths: list[Path], places: list[Place]) -> Iterator[dict[str, Any]]:
    opened: dict[int, BinaryIO] = {}  # the one used last stands last
    with ExitStack() as stack:
        stack.callback(lambda: [file.close() for file in opened.values()])
        for place in places:
            try:
                file = opened.pop(place.file, None) or paths[place.file].open("rb")
                opened[place.file] = file
                if len(opened) > OPEN_FILES:
                    opened.pop(next(iter(opened))).close()
                file.seek(place.offset)
                record = _parse(file.read(place.length))
            except OSError as error:
                raise AuditError(f"audit log {paths[place.file]} can't be read: {error.strerror}") from None
            if record is None:
                raise AuditError(f"audit log {paths[place.file]} was changed while it was read")
            yield record


def _parse(line: bytes) -> dict[str, Any] | None:
    """Read one line, None where it is damaged; only a line break makes it whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _seconds(time: object, otherwise: float) -> float:
    """Seconds since 1970 of a record's time, or `otherwise` where it says none."""
    try:
        if isinstance(time, str):
            moment = datetime.fromisoformat(time)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(time, int | float) and not isinstance(time, bool) and math.isfinite(time):
            return float(time)
    except (ValueError, OverflowError):
        pass
    return otherwise
