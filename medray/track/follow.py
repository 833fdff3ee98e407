"""Follow a run's files while a command works in it, and send what is new to its trackers."""

import contextlib
import os
import shlex
import threading
from collections.abc import Callable, Collection, Iterable, Iterator

from rich.console import Console

from medray.console import note, say, step
from medray.errors import one_line
from medray.runs.rundir import RunDir
from medray.text import without_secrets
from medray.track.entry import Entry
from medray.track.read_entries import ROOT, read_entries
from medray.track.trackers import Tracker, open_tracker

EVERY_S, RETRY_S = 5.0, 60.0  # between two looks at the files; after a tracker has failed
PATIENCE_S = 2.0  # at the end, before a line says what is waited for
LONGEST_S = 60.0  # that it is waited for
SECRETS = ("WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")

MoreEntries = Callable[[], Iterable[Entry]]


@contextlib.contextmanager
def tracked(
    run: RunDir, names: Collection[str], console: Console, more: MoreEntries | None = None
) -> Iterator[None]:
    """Send what appears in a run's files to the trackers `names` while the block works, and the rest at its end.

    A tracker that fails costs one line, and is tried again. `more` gives entries besides those of training.
    """
    followers = [Follower(run, name, console, more) for name in dict.fromkeys(names)]
    for follower in followers:
        follower.thread.start()
    try:
        yield
    finally:
        for follower in followers:
            follower.ended.set()
        for follower in followers:
            follower.join()


def send(run: RunDir, names: Collection[str], console: Console, more: MoreEntries | None = None) -> bool:
    """Send all that a run has to trackers that lack it; return whether all of them have it."""
    followers = [Follower(run, name, console, more) for name in dict.fromkeys(names)]
    for follower in followers:
        follower.ended.set()
        follower.thread.start()
    for follower in followers:
        follower.join()
    return not any(follower.failed for follower in followers)


class Follower:
    """A thread that brings one tracker up to date with a run's files, until `ended` is set and once more then."""

    def __init__(self, run: RunDir, name: str, console: Console, more: MoreEntries | None = None) -> None:
        self.run, self.name, self.console, self.more = run, name, console, more
        self.tracker: Tracker | None = None
        self.done: set[str] = set()
        self.failed = self.warned = False
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._follow, name=f"track {name}", daemon=True)

    def join(self) -> None:
        """Wait until all is sent, or the tracker has failed or does not get on within `LONGEST_S`."""
        self.thread.join(PATIENCE_S)
        if self.thread.is_alive():
            with step(self.console, f"Sending to {self.name}"):
                self.thread.join(LONGEST_S)
        if self.thread.is_alive():  # a run's lock is not held for a server that does not answer
            self.failed = True
            self._warn(TimeoutError(f"not done within {LONGEST_S:.0f} s"))

    def _follow(self) -> None:
        last = False
        while not last:
            last = self.ended.is_set()
            try:
                self._send(last=last)
                self.failed = False
            except Exception as error:  # of any package; the command goes on
                self.failed = True
                self._warn(error)
            if not last:
                self.ended.wait(RETRY_S if self.failed else EVERY_S)
        if self.warned and not self.failed:
            note(self.console, f"{self.name}: has got the rest")

    def _send(self, *, last: bool) -> None:
        """Bring the tracker up to date.

        Raises:
            Exception: a file can't be read, or the tracker's package raises what it likes to.
        """
        if self.tracker is None:
            self.tracker = open_tracker(self.name, self.run)
            note(self.console, f"{self.name}: {self.tracker.where}")
        for entry in read_entries(self.run, self.done, last=last):
            self._write(self.tracker, entry)
        for entry in self.more() if self.more and last else ():
            self._write(self.tracker, entry)
        if last:
            self.tracker.close()

    def _write(self, tracker: Tracker, entry: Entry) -> None:
        if not (entry.ended and tracker.has(entry)):
            tracker.write(entry)
        if entry.ended and entry.key != ROOT:
            self.done.add(entry.key)

    def _warn(self, error: Exception) -> None:
        if not self.warned:
            self.warned = True
            say(
                self.console,
                f"{self.name} failed, and the command goes on: {public_line(error)}; what it lacks is sent by: "
                f"medray track {shlex.quote(self.run.public_location)} {self.name}",
            )


def public_line(error: Exception) -> str:
    """Return an error's message on one line, without passwords and keys."""
    text = without_secrets(one_line(error, limit=1000))
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, f"${name}")
    return f"{type(error).__name__}: {text}"[:300]
