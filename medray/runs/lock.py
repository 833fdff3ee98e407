"""Hold a run, so that two commands never write to it: by a file lock, or by a claim in an object store."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from medray.console import step
from medray.errors import RunError
from medray.runs.folder import TAKEN_OVER, Folder
from medray.signals import ends_like_ctrl_c

LOCK, CLAIM = ".lock", "claim.json"
CLAIM_LOST = signal.SIGUSR2  # sent to this process by its own thread, where the main thread holds the run
HEARTBEAT_S, SETTLE_S = 5.0, 1.0
DEAD_AFTER = 3  # a claim unchanged for this many heartbeats belongs to a dead process


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
    """Hold a run in an object store, which has no locks: the holder rewrites a claim file every few seconds.

    Of two commands that start within the same second and see no claim, the one that writes last holds the run. A
    command that was suspended while another took the run over ends as if by Ctrl-C; in another thread than the
    main one, which no signal reaches, its next write or the end of the block raises the error.
    """
    claim, location = _Claim(), run.path("").rstrip("/")
    ended, lost = threading.Event(), threading.Event()
    in_main_thread = threading.current_thread() is threading.main_thread()

    def lose() -> None:
        lost.set()
        if in_main_thread:
            os.kill(os.getpid(), CLAIM_LOST)
        else:
            TAKEN_OVER.add(location)

    beating = threading.Thread(target=_beat, args=(run, claim, ended, lose), daemon=True)
    try:
        _take(run, claim, console)
        with ends_like_ctrl_c(CLAIM_LOST):
            beating.start()
            try:
                yield
            finally:
                ended.set()
                beating.join()
        if lost.is_set():
            raise _held_by_another(run, _read(run))
    except (KeyboardInterrupt, RunError):
        if lost.is_set():
            raise _held_by_another(run, _read(run)) from None
        raise
    finally:
        TAKEN_OVER.discard(location)
        with contextlib.suppress(OSError):
            if claim.wrote(_read(run)):
                run.delete(CLAIM)


def is_held(run: Folder) -> bool:
    """Return whether a command is working in a run now; in an object store that takes up to three heartbeats.

    Raises:
        OSError: the run can't be reached.
    """
    if run.local is None:
        earlier = _read(run)
        for _ in range(DEAD_AFTER if earlier is not None else 0):
            time.sleep(HEARTBEAT_S)
            if _read(run) != earlier:
                return True
        return False
    try:
        lock = (run.local / LOCK).open()
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


@dataclass
class _Claim:
    """The content of the claim file: who holds the run, and the number of heartbeats so far."""

    claim: str = field(default_factory=lambda: uuid.uuid4().hex)
    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)
    heartbeat: int = 0

    def wrote(self, content: bytes | None) -> bool:
        """Return whether the claim file's content is this claim's."""
        return _parsed(content).get("claim") == self.claim


def _take(run: Folder, claim: _Claim, console: Console) -> None:
    """Write the claim, once an earlier one is seen to be of a dead process."""
    try:
        earlier = _read(run)
        if earlier is not None:
            with step(console, f"Checking whether another command still works in {run.location}"):
                for _ in range(DEAD_AFTER):
                    time.sleep(HEARTBEAT_S)
                    now = _read(run)
                    if now is None:
                        break  # it has just ended
                    if now != earlier:
                        raise _held_by_another(run, now)
        run.write_json(CLAIM, asdict(claim))
        time.sleep(SETTLE_S)
        now = _read(run)
    except OSError as error:
        raise RunError(f"{run.location} can't be written: {' '.join(str(error).split())}") from error
    if not claim.wrote(now):
        raise _held_by_another(run, now)


def _beat(run: Folder, claim: _Claim, ended: threading.Event, lose: Callable[[], None]) -> None:
    """Rewrite the claim at every heartbeat until `ended`; call `lose` once another command has written its own."""
    while not ended.wait(HEARTBEAT_S):
        claim.heartbeat += 1
        with contextlib.suppress(OSError):  # the next write may succeed
            now = _read(run)
            if now is not None and not claim.wrote(now):
                lose()
                return
            run.write_json(CLAIM, asdict(claim))


def _read(run: Folder) -> bytes | None:
    try:
        return run.read(CLAIM)
    except FileNotFoundError:
        return None


def _parsed(content: bytes | None) -> dict[str, object]:
    with contextlib.suppress(ValueError):
        claim = json.loads(content or b"{}")
        return claim if isinstance(claim, dict) else {}
    return {}


def _held_by_another(run: Folder, content: bytes | None) -> RunError:
    claim = _parsed(content)
    holder = f": process {claim['process']} on {claim['host']}" if {"process", "host"} <= set(claim) else ""
    return RunError(f"another command is working in {run.location}{holder}")
