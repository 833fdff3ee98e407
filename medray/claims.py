"""Holding a run, so that two commands never write to it: a lock in a folder, a claim in an object store."""

import contextlib
import fcntl
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from medray.errors import RunError
from medray.storage import Folder
from medray.terminal import step

LOCK, CLAIM = ".lock", "claim.json"
BEAT_S, SETTLE_S, DEAD_AFTER = 5.0, 1.0, 3  # a claim that stays the same for so many beats is of a dead command


@contextlib.contextmanager
def held(run: Folder, console: Console) -> Iterator[None]:
    """Hold the run at `run` until the block ends, or the process does.

    Raises:
        RunError: another command holds it, or it can't be written.
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

    Two commands that begin within the same second may both see no claim; the one that wrote last has it.
    """
    mine = {"claim": uuid.uuid4().hex, "host": socket.gethostname(), "process": os.getpid()}
    theirs = _read(run)
    if theirs and not _has_ended(theirs):
        with step(console, f"Seeing whether another command still works in {run.location}"):
            for _ in range(DEAD_AFTER):
                time.sleep(BEAT_S)
                if (now := _read(run)) != theirs:
                    raise _taken(run, now or theirs)
    _write(run, {**mine, "beat": 0})
    time.sleep(SETTLE_S)
    found = _read(run)
    if found is not None and found["claim"] != mine["claim"]:
        raise _taken(run, found)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(run, mine, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        with contextlib.suppress(OSError):
            run.delete(CLAIM)


def _beat(run: Folder, mine: dict[str, Any], ended: threading.Event) -> None:
    beat = 0
    while not ended.wait(BEAT_S):
        beat += 1
        with contextlib.suppress(OSError):  # the next one may arrive
            _write(run, {**mine, "beat": beat})


def _write(run: Folder, claim: dict[str, Any]) -> None:
    run.write_json(CLAIM, claim)


def _read(run: Folder) -> dict[str, Any] | None:
    if not run.exists(CLAIM):
        return None
    with contextlib.suppress(RunError):
        found = run.read_json(CLAIM)
        if isinstance(found, dict) and "claim" in found:
            return found
    return None


def _has_ended(claim: dict[str, Any]) -> bool:
    """Whether the command that wrote it ran on this machine and is gone; nobody knows of other machines."""
    if claim.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(claim["process"]), 0)
    except ProcessLookupError:
        return True
    except (KeyError, TypeError, ValueError, OverflowError, PermissionError):
        return False
    return False


def _taken(run: Folder, claim: dict[str, Any]) -> RunError:
    return RunError(
        f"another command is working in {run.location}: process {claim.get('process')} on {claim.get('host')}"
    )
