"""The audit log: whole lines only, whatever ends a writer or fills a disk."""

import errno
import json
import logging
import math
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.errors import ConfigError, MedrayError
from medray.serving.engine import audit_log
from medray.serving.engine.audit_log import AuditError, AuditLog, read_audit

RECORD = {"time": 12.5, "request": "a", "token": "clinic", "prediction": {"class": "näv\n\u2028us", "p": 0.25}}

linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full and /proc")


def lines_of(folder: Path) -> dict[str, list[bytes]]:
    return {path.name: path.read_bytes().splitlines(keepends=True) for path in sorted(folder.iterdir())}


@contextmanager
def full_disk(log: AuditLog, link: Path) -> Iterator[None]:
    """Let the log's open file be /dev/full, by a link to it, for a while."""
    (descriptor,) = [
        int(link.name)
        for link in Path("/proc/self/fd").iterdir()
        if link.is_symlink() and link.readlink() == log.path
    ]
    link.symlink_to("/dev/full")
    before, full = os.dup(descriptor), os.open(link, os.O_WRONLY | os.O_APPEND)
    try:
        os.dup2(full, descriptor)
        yield
    finally:
        os.dup2(before, descriptor)
        os.close(before)
        os.close(full)
        link.unlink()


# -- writing


def test_a_batch_is_one_write_of_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = os.write
    with AuditLog(tmp_path, "one") as log:
        monkeypatch.setattr(
            audit_log.os, "write", lambda fd, content: (written.append(content), write(fd, content))[1]
        )
        log.write([RECORD, {"time": 13}])
        log.write([])
        monkeypatch.undo()
    assert [content.count(b"\n") for content in written] == [2]
    assert lines_of(tmp_path) == {"audit-one-0001.jsonl": written[0].splitlines(keepends=True)}
    assert list(read_audit(tmp_path)) == [RECORD, {"time": 13}]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with AuditLog(tmp_path / "a" / "b", "one") as log:
            log.write([RECORD])
    finally:
        os.umask(umask)
    assert stat.S_IMODE(log.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    AuditLog(tmp_path, "one").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def loop() -> list[Any]:
    circular: list[Any] = []
    circular.append(circular)
    return circular


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, [-math.inf], b"bytes", {1, 2}, object(), loop(), {(1, 2): 3}, 1j]
)
def test_what_is_no_json_is_refused_whole(tmp_path: Path, value: object) -> None:
    with AuditLog(tmp_path, "one") as log:
        with pytest.raises(ValueError, match="an audit record can't be written as JSON: "):
            log.write([RECORD, {"time": 1, "value": value}])
        log.write([RECORD])
    assert list(read_audit(tmp_path)) == [RECORD]


def test_a_text_is_no_record(tmp_path: Path) -> None:
    with AuditLog(tmp_path, "one") as log, pytest.raises(ValueError, match="can't be written as JSON"):
        log.write("text")  # type: ignore[arg-type]


@pytest.mark.parametrize("writer", ["", "a/b", "..\\x", "a b", "ä", "x" * 129, "a\n"])
def test_a_name_that_is_no_part_of_a_files_is_refused(tmp_path: Path, writer: str) -> None:
    with pytest.raises(ConfigError, match="must be 1 to 128 of the characters"):
        AuditLog(tmp_path, writer)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"max_bytes": 0}, {"keep": 0}, {"keep": -1}])
def test_numbers_that_mean_nothing_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))} of the audit log must be 1 or more"):
        AuditLog(tmp_path, "one", **options)  # type: ignore[arg-type]


def test_a_folder_that_can_not_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match=r"no audit file can be made in .*/file/x: Not a directory$"):
        AuditLog(tmp_path / "file" / "x", "one")


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, "one")
    log.close()
    log.close()
    with pytest.raises(ValueError, match="closed"):
        log.write([RECORD])


def test_threads_write_whole_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fstat = os.fstat
    # Every thread waits where another may begin the next file.
    monkeypatch.setattr(audit_log.os, "fstat", lambda fd: (fstat(fd), time.sleep(1e-4))[0])

    def flood(thread: int) -> None:
        for turn in range(100):
            try:
                log.write([{"time": 0, "thread": thread, "n": 3 * turn + n} for n in range(3)])
            except BaseException as error:  # it would end only this thread
                failed.append(error)

    failed: list[BaseException] = []
    with AuditLog(tmp_path, "one", max_bytes=300) as log:
        threads = [threading.Thread(target=flood, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    records = list(read_audit(tmp_path))
    assert not failed
    assert len(records) == 1200
    for thread in range(4):
        places = [index for index, record in enumerate(records) if record["thread"] == thread]
        assert [records[index]["n"] for index in places] == list(range(300))
        assert all(second == first + 1 for first, second in zip(places[::3], places[1::3], strict=True))


# -- files


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.lists(st.text(max_size=30), max_size=4), max_size=25),
    max_bytes=st.integers(1, 400),
    keep=st.none() | st.integers(1, 4),
    restarts=st.sets(st.integers(0, 24), max_size=3),
)
def test_no_line_is_lost_split_or_moved(
    batches: list[list[str]], max_bytes: int, keep: int | None, restarts: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), AuditLog(name, "a-0001", max_bytes=max_bytes, keep=keep)
        AuditLog(folder, "a").close()  # its files are not the other's, though their names begin alike
        sent = []
        for turn, batch in enumerate(batches):
            if turn in restarts:
                log.close()
                log = AuditLog(folder, "a-0001", max_bytes=max_bytes, keep=keep)
            records = [{"time": turn, "n": len(sent) + n, "text": text} for n, text in enumerate(batch)]
            log.write(records)
            sent += records
        log.close()
        records_read, files = list(read_audit(folder)), lines_of(folder)
        assert records_read == sent[len(sent) - len(records_read) :]
        assert files.pop("audit-a-0001.jsonl") == []
        assert len(records_read) == len(sent) if keep is None else len(files) <= keep
        for lines in files.values():
            turns = {json.loads(line)["time"] for line in lines}
            assert sum(map(len, lines)) <= max_bytes or len(turns) == 1
            assert all(line.endswith(b"\n") for line in lines)


def test_numbers_go_on_beyond_four_digits(tmp_path: Path) -> None:
    (tmp_path / "audit-one-9999.jsonl").write_text('{"time": 1, "n": 0}\n')
    (tmp_path / "audit-one-0002.jsonl").write_text("")
    with AuditLog(tmp_path, "one", max_bytes=1) as log:
        for n in (1, 2):
            log.write([{"time": 1, "n": n}])
    assert [record["n"] for record in read_audit(tmp_path)] == [0, 1, 2]
    assert log.path.name == "audit-one-10001.jsonl"


def test_two_writers_of_one_name_do_not_share_a_file(tmp_path: Path) -> None:
    with AuditLog(tmp_path, "one") as first, AuditLog(tmp_path, "one") as second:
        first.write([{"time": 1}])
        second.write([{"time": 2}])
        assert first.path != second.path


def test_two_that_begin_at_once_do_not_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuditLog, "_files", lambda _: {})  # as each saw the folder before the other's file
    with AuditLog(tmp_path, "one") as first, AuditLog(tmp_path, "one") as second:
        assert (first.path.name, second.path.name) == ("audit-one-0001.jsonl", "audit-one-0002.jsonl")


def test_a_file_that_was_deleted_swallows_nothing(tmp_path: Path) -> None:
    with AuditLog(tmp_path / "log", "one") as log:
        log.write([{"time": 1}])
        log.path.unlink()
        log.folder.rmdir()
        log.write([{"time": 2}])
    assert list(read_audit(tmp_path / "log")) == [{"time": 2}]


def test_what_a_network_disk_says_late_is_told_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stale(*_: object) -> os.stat_result:
        raise OSError(errno.ESTALE, "Stale file handle")

    with AuditLog(tmp_path, "one") as log:
        log.write([{"time": 1}])
        monkeypatch.setattr(audit_log.os, "fstat", stale)
        close = os.close
        monkeypatch.setattr(audit_log.os, "close", lambda fd: (close(fd), stale()))
        log.write([{"time": 2}])
        monkeypatch.undo()
        log.write([{"time": 3}])
    assert "audit-one-0001.jsonl may lack its last records: Stale file handle" in caplog.text
    assert [record["time"] for record in read_audit(tmp_path)] == [1, 2, 3]
    assert log.path.name == "audit-one-0002.jsonl"


def test_old_files_that_stay_are_told_and_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with AuditLog(tmp_path, "one", max_bytes=1, keep=1) as log:
        log.write([{"time": 1}])
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", refuse)
            log.write([{"time": 2}])
        assert "can't be deleted: Permission denied" in caplog.text
        log.write([{"time": 3}])
    assert list(read_audit(tmp_path)) == [{"time": 3}]


# -- full disks


@linux
def test_a_full_disk_is_told_and_needs_no_restart(tmp_path: Path) -> None:
    with AuditLog(tmp_path / "log", "one") as log:
        log.write([{"time": 1}])
        with full_disk(log, tmp_path / "full"):
            for _ in range(3):
                with pytest.raises(AuditError, match=r"audit-one-0001\.jsonl can't be written: No space left"):
                    log.write([{"time": 2}])
        log.write([{"time": 3}])
        assert issubclass(AuditError, MedrayError)
    assert list(read_audit(tmp_path / "log")) == [{"time": 1}, {"time": 3}]
    assert len(lines_of(log.folder)) == 1


HALF_FULL = """
import json, resource, signal, sys
from medray.serving.engine.audit_log import AuditError, AuditLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = AuditLog(sys.argv[1], "one")
log.write([{"time": 0}])
told = []
for limit in (11, 12, 13, 40, 60, 61):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        log.write([{"time": 1, "n": n} for n in range(3)])
    except AuditError as error:
        told.append(str(error))
    assert log.path.stat().st_size == 11, log.path.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write([{"time": 2}])
print(json.dumps(told))
"""


def run(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_batch_that_fits_half_is_cut_off(tmp_path: Path) -> None:
    output, errors = run(HALF_FULL, tmp_path).communicate(timeout=60)
    assert errors == ""
    errors = json.loads(output)
    assert errors[0].endswith("can't be written: File too large")
    assert [error.partition(" took ")[2] for error in errors[1:]] == [
        f"{room} of 51 bytes; is the disk full?" for room in (1, 2, 29, 49, 50)
    ]
    assert lines_of(tmp_path) == {"audit-one-0001.jsonl": [b'{"time":0}\n', b'{"time":2}\n']}


def test_a_torn_end_that_stays_begins_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(fd: int, length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    write = os.write
    with AuditLog(tmp_path, "one") as log:
        log.write([{"time": 1}])
        with monkeypatch.context() as patch:
            patch.setattr(audit_log.os, "write", lambda fd, content: write(fd, content[:5]))
            patch.setattr(audit_log.os, "ftruncate", refuse)
            with pytest.raises(AuditError, match="took 5 of 11 bytes"):
                log.write([{"time": 2}])
        assert "keeps a damaged end: Input/output error" in caplog.text
        log.write([{"time": 3}])
        log.write([{"time": 4}])
    assert lines_of(tmp_path) == {
        "audit-one-0001.jsonl": [b'{"time":1}\n', b'{"tim'],
        "audit-one-0002.jsonl": [b'{"time":3}\n', b'{"time":4}\n'],
    }
    assert [record["time"] for record in read_audit(tmp_path)] == [1, 3, 4]


def test_a_next_file_that_can_not_be_made_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with AuditLog(tmp_path, "one", max_bytes=1) as log:
        log.write([{"time": 1}])
        with monkeypatch.context() as patch:
            patch.setattr(audit_log.os, "open", refuse)
            with pytest.raises(AuditError, match=r"no audit file can be made in .* No space left"):
                log.write([{"time": 2}])
        log.write([{"time": 3}])
    assert [record["time"] for record in read_audit(tmp_path)] == [1, 3]


# -- processes that die

FLOOD = """
import sys, time
from medray.serving.engine.audit_log import AuditLog
log, n = AuditLog(sys.argv[1], sys.argv[2], max_bytes=50_000), 0
print("ready", flush=True)
while True:
    log.write([{"time": time.time(), "n": n + i, "pad": "x" * 500} for i in range(40)])
    n += 40
"""


def test_killed_writers_leave_whole_lines_and_one_torn_end_at_most(tmp_path: Path) -> None:
    writers = {name: run(FLOOD, tmp_path, name) for name in ("a", "b", "c")}
    try:
        for process in writers.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        time.sleep(0.15)
    finally:
        for process in writers.values():
            process.send_signal(signal.SIGKILL)
        for process in writers.values():
            process.communicate(timeout=30)
    for name in writers:
        files = [lines for file, lines in lines_of(tmp_path).items() if file.startswith(f"audit-{name}-")]
        torn = [line for lines in files for line in lines if not line.endswith(b"\n")]
        assert torn in ([], files[-1][-1:])
        numbers = [json.loads(line)["n"] for lines in files for line in lines if line.endswith(b"\n")]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= 40
    records = list(read_audit(tmp_path))
    assert [record["time"] for record in records] == sorted(record["time"] for record in records)
    assert len(records) == sum(line.endswith(b"\n") for lines in lines_of(tmp_path).values() for line in lines)


def test_who_comes_back_does_not_go_on_after_a_torn_line(tmp_path: Path) -> None:
    (tmp_path / "audit-one-0001.jsonl").write_bytes(b'{"time":1}\n{"time":')
    with AuditLog(tmp_path, "one") as log:
        log.write([{"time": 2}])
    assert [record["time"] for record in read_audit(tmp_path)] == [1, 2]


# -- reading


def test_damaged_lines_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "audit-one-0001.jsonl").write_bytes(
        b'{"time":3}\n{"ti\n\n[1]\n\xff\xfe\n' + b"[" * 10**5 + b'\n{"time":1}\n{"time":2}'
    )
    (tmp_path / "audit-two-0001.jsonl").write_bytes(b'{"time":2}\n')
    (tmp_path / "audit-two.jsonl").write_bytes(b"is none of ours")
    with caplog.at_level(logging.WARNING, "medray.serving"):
        assert [record["time"] for record in read_audit(tmp_path)] == [1, 2, 3]
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "6 damaged lines were left out"
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=40))
@settings(max_examples=40, deadline=None)
def test_all_writers_records_come_by_time_then_as_written(records: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        logs = {writer: AuditLog(name, writer, max_bytes=60) for writer in "cab"}
        for n, (writer, moment) in enumerate(records):
            logs[writer].write([{"time": moment, "writer": writer, "n": n}])
        for log in logs.values():
            log.close()
        records_read = [(record["time"], record["writer"], record["n"]) for record in read_audit(name)]
    assert records_read == sorted((moment, writer, n) for n, (writer, moment) in enumerate(records))


def test_times_may_be_seconds_or_iso_and_may_be_missing(tmp_path: Path) -> None:
    times = [
        "1970-01-01T00:00:05Z", 4, "1970-01-01T01:00:03.5+01:00", None, "1970-01-01T00:00:03", "soon", 10**400,
        2.5, True, "0001-01-01T00:00:00+10:00", 1,
    ]  # fmt: skip
    with AuditLog(tmp_path, "one") as log:
        log.write([{"n": n} if moment is None else {"n": n, "time": moment} for n, moment in enumerate(times)])
    assert [record["n"] for record in read_audit(tmp_path)] == [9, 10, 7, 8, 4, 5, 6, 2, 3, 1, 0]


@linux
def test_more_files_than_may_be_open_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "OPEN_FILES", 3)
    order = list(range(40))
    random.Random(0).shuffle(order)
    for index, moment in enumerate(order):
        (tmp_path / f"audit-{index % 9}-{1 + index // 9:04}.jsonl").write_text(f'{{"time": {moment}}}\n')
    before = len(list(Path("/proc/self/fd").iterdir()))
    reader = read_audit(tmp_path)
    for moment in range(20):
        assert next(reader) == {"time": moment}
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3
    assert [record["time"] for record in reader] == list(range(20, 40))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_can_not_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"audit log .*/none can't be read: No such file"):
        read_audit(tmp_path / "none")
    with AuditLog(tmp_path, "one") as log:
        log.write([{"time": 1}])
    reader = read_audit(tmp_path)
    log.path.write_bytes(b"x" * 11)
    with pytest.raises(AuditError, match="was changed while it was read"):
        next(reader)
    log.path.write_bytes(b'{"time":1}\n')
    reader = read_audit(tmp_path)
    log.path.unlink()
    with pytest.raises(AuditError, match=r"audit-one-0001\.jsonl can't be read: No such file"):
        next(reader)
