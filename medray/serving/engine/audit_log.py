"""AuditLog: the service's answers as JSON lines, which a crash or a full disk can't damage.

Each writer appends to files of its own, `audit-<writer>-NNNN.jsonl`, so lines of two writers never mix, and a new
process never appends to the torn line of one that died. A batch is one `os.write`; one that did not fit is cut off
again: a record is in the log, or the caller got an AuditError. Where cutting off fails too, the next batch
begins a new file. Nothing waits for the disk: a killed process loses nothing, a power cut may take seconds.
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
OUTCOMES = "outcomes"

log = logging.getLogger("medray.serving")


def outcomes_folder(audit_folder: str | Path) -> Path:
    """Return the folder, beside that of the audit log, of the outcomes that were sent to the service."""
    return Path(audit_folder).parent / OUTCOMES


class AuditError(MedrayError):
    """A record could not be written, or a log can't be read."""


class AuditLog:
    """The audit log of one writer; thread-safe.

    `folder` is made (mode 0700) where it is missing, files have mode 0600. Where a batch would exceed `max_bytes`
    the file of the next number is begun; a batch is never split, so only one that is larger by itself makes a
    larger file. `keep` is the number of this writer's files that stay, None for all.

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
        """Append records as one JSON line each: all of them by one write, or none.

        Raises:
            ValueError: a record is not JSON, or holds NaN or infinity; nothing is written.
            AuditError: they could not be written; the next call tries again.
        """
        try:
            lines = [json.dumps(dict(record), allow_nan=False, separators=(",", ":")) for record in records]
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"an audit record can't be written as JSON: {error}") from error
        content = "".join(f"{line}\n" for line in lines).encode("ascii")  # JSON escapes line breaks and the rest
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
        """Return whether the file takes no more: it is torn, full for `more` bytes, or deleted."""
        try:
            deleted = os.fstat(fd).st_nlink == 0
        except OSError:  # of a network file system, for a file that another machine deleted
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
        """Cut off the rest of a failed write; nobody else writes to this file."""
        try:
            if os.fstat(fd).st_size > self._size:
                os.ftruncate(fd, self._size)
        except OSError as error:
            self._torn = True
            log.error("%s keeps a damaged end: %s", self.path, error.strerror)

    def _open_next(self) -> None:
        """Begin the file of the next free number; where that fails the current one stays open."""
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
        except OSError as error:  # a network file system reports here that it lost written data
            log.error("%s may lack its last records: %s", self.path, error.strerror)

    def _files(self) -> dict[int, Path]:
        """Return the files of this writer by their numbers."""
        return {number: path for writer, number, path in _listed(self.folder) if writer == self.writer}

    def _delete_oldest(self) -> None:
        if self.keep is None:
            return
        try:
            for _, path in sorted(self._files().items())[: -self.keep]:
                path.unlink(missing_ok=True)
        except OSError as error:  # no reason to refuse a request
            log.warning("old audit files in %s can't be deleted: %s", self.folder, error.strerror)


def _listed(folder: Path) -> list[tuple[str, int, Path]]:
    """Return the audit files in a folder as sorted (writer, number, path)."""
    matches = [(FILE.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((match["writer"], int(match["number"]), path) for match, path in matches if match)


def is_cut(folder: str | Path) -> bool:
    """Return whether a writer's first files are gone, as `keep` deletes them.

    Raises:
        AuditError: the folder can't be read.
    """
    try:
        files = _listed(Path(folder))
    except OSError as error:
        raise AuditError(f"audit log {folder} can't be read: {error.strerror}") from None
    first = {writer: number for writer, number, _ in reversed(files)}
    return any(number > 1 for number in first.values())


class RecordPosition(NamedTuple):
    """The time of a record in seconds, the index of its file, and its bytes there; sorts by time, then by file."""

    seconds: float
    file: int
    offset: int
    length: int


def read_audit(folder: str | Path) -> Iterator[dict[str, Any]]:
    """Return all writers' records in the order of their `time`, seconds since 1970 or ISO 8601.

    A time without a zone is UTC; a record without a time follows the one before it in its file. Records of the
    same time come in the order of writers, then as they were written. Lines that are damaged or unfinished (their
    writer died, or is writing) are left out, and their number is logged for each file. Memory holds a few numbers
    for each record, not the records.

    Raises:
        AuditError: the folder or a file can't be read, or a file was deleted meanwhile.
    """
    folder = Path(folder)
    try:
        paths = [path for _, _, path in _listed(folder)]
        positions = sorted(position for file, path in enumerate(paths) for position in _index(path, file))
    except OSError as error:
        raise AuditError(f"audit log {error.filename or folder} can't be read: {error.strerror}") from None
    return _records(paths, positions)


def _index(path: Path, file: int) -> Iterator[RecordPosition]:
    damaged, offset, seconds = 0, 0, -math.inf
    with path.open("rb") as lines:
        for line in lines:
            record = _parse(line)
            if record is None:
                damaged += 1
            else:
                seconds = _seconds(record.get("time"), seconds)
                yield RecordPosition(seconds, file, offset, len(line))
            offset += len(line)
    if damaged:
        log.warning("%s: %d damaged lines were left out", path, damaged)


def _records(paths: list[Path], positions: list[RecordPosition]) -> Iterator[dict[str, Any]]:
    opened: dict[int, BinaryIO] = {}  # in the order of their last use
    with ExitStack() as stack:
        stack.callback(lambda: [file.close() for file in opened.values()])
        for position in positions:
            try:
                file = opened.pop(position.file, None) or paths[position.file].open("rb")
                opened[position.file] = file
                if len(opened) > OPEN_FILES:
                    opened.pop(next(iter(opened))).close()
                file.seek(position.offset)
                record = _parse(file.read(position.length))
            except OSError as error:
                raise AuditError(f"audit log {paths[position.file]} can't be read: {error.strerror}") from None
            if record is None:
                raise AuditError(f"audit log {paths[position.file]} was changed while it was read")
            yield record


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, None where the line is damaged or has no end."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _seconds(time: object, otherwise: float) -> float:
    """Return a record's time in seconds since 1970, `otherwise` where it has none."""
    try:
        if isinstance(time, str):
            moment = datetime.fromisoformat(time)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(time, int | float) and not isinstance(time, bool) and math.isfinite(time):
            return float(time)
    except (ValueError, OverflowError):
        pass
    return otherwise
