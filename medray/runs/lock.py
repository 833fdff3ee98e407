"""Holding a run, so that two commands never write to it: a lock in a folder, a claim in an object store."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from medray.console import step
from medray.errors import RunError
from medray.runs.folder import Folder
from medray.signals import ends_like_ctrl_c

LOCK, CLAIM = ".lock", "claim.json"
LOST = signal.SIGUSR2  # to the command itself
BEAT_S, SETTLE_S, DEAD_AFTER = 5.0, 1.0, 3  # a claim that stays the same for so many beats is of a dead command


@contextlib.contextmanager
def held(run: Folder, console: Console) -> Iterator[None]:
    """Hold the run at `run` until the block ends, or the process does.

    Raises:
        RunError: another command holds it or has taken it over, or it can't be written.
    """
    with _locked(run, run.local) if run.local is not None else _claimed(run, console):
        yield


@contextlib.contextmanager
def _locked(run: Folder, folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise RunError(f"{run.location} can't be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"another command is working in {run.location}") from None
        yield


@contextlib.contextmanager
def _claimed(run: Folder, console: Console) -> Iterator[None]:
    """An object store has no locks: who holds the run writes a file anew every few seconds.

    Two commands that begin within the same second may both see no claim; the one that wrote last has it. One that
    was asleep, and whose run another command took over meanwhile, ends as by Ctrl-C.
    """
    mine = _Claim()
    ended, lost = threading.Event(), threading.Event()
    beating = threading.Thread(target=_beat, args=(run, mine, ended, lost), daemon=True)
    try:
        _take(run, mine, console)
        with ends_like_ctrl_c(LOST):
            beating.start()
            try:
                yield
            finally:
                ended.set()
                beating.join()
    except KeyboardInterrupt:
        if lost.is_set():
            raise _taken(run, _read(run)) from None
        raise
    finally:
        with contextlib.suppress(OSError):
            if mine.wrote(_read(run)):
                run.delete(CLAIM)


@dataclass
class _Claim:
    """What a command writes: who it is, and a number that goes on."""

    claim: str = field(default_factory=lambda: uuid.uuid4().hex)
    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)
    beat: int = 0

    def wrote(self, content: bytes | None) -> bool:
        return _parsed(content).get("claim") == self.claim


def _take(run: Folder, mine: _Claim, console: Console) -> None:
    try:
        theirs = _read(run)
        if theirs is not None:
            with step(console, f"Seeing whether another command still works in {run.location}"):
                for _ in range(DEAD_AFTER):
                    time.sleep(BEAT_S)
                    now = _read(run)
                    if now is None:
                        break  # it has just ended
                    if now != theirs:
                        raise _taken(run, now)
        run.write_json(CLAIM, asdict(mine))
        time.sleep(SETTLE_S)
        now = _read(run)
    except OSError as error:
        raise RunError(f"{run.location} can't be written: {' '.join(str(error).split())}") from error
    if not mine.wrote(now):
        raise _taken(run, now)


def _beat(run: Folder, mine: _Claim, ended: threading.Event, lost: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        mine.beat += 1
        with contextlib.suppress(OSError):  # the next one may arrive
            now = _read(run)
            if now is not None and not mine.wrote(now):
                lost.set()
                os.kill(os.getpid(), LOST)
                return
            run.write_json(CLAIM, asdict(mine))


def _read(run: Folder) -> bytes | None:
    try:
        return run.read(CLAIM)
    except FileNotFoundError:
        return None


def _parsed(content: bytes | None) -> dict[str, object]:
    with contextlib.suppress(ValueError):
        found = json.loads(content or b"{}")
        return found if isinstance(found, dict) else {}
    return {}


def _taken(run: Folder, content: bytes | None) -> RunError:
    who = _parsed(content)
    told = f": process {who['process']} on {who['host']}" if {"process", "host"} <= set(who) else ""
    return RunError(f"another command is working in {run.location}{told}")
