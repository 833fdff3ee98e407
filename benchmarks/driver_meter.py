"""What the process that drives a search does with its processor time, measured as the search runs."""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import optuna
from ray.tune.execution.tune_controller import TuneController

from medray.runs.folder import Folder
from medray.search.asha import Rungs
from medray.search.ledger import Ledger
from medray.search.study_journal import StudyJournal

TUNE, OTHER_THREADS = "Tune's loop", "other threads, Ray's own"
#: What is measured, and the methods that do it; what one calls of another is the other's.
PARTS: dict[str, tuple[tuple[type, str], ...]] = {
    TUNE: ((TuneController, "step"),),
    "drawing settings": ((Ledger, "start_next"),),
    "telling the study": ((optuna.Trial, "report"), (optuna.Study, "tell")),
    "the journal": ((StudyJournal, "write"),),
    "files": tuple((Folder, name) for name in ("read", "write", "exists", "names", "delete")),
    "the leaderboard": ((Ledger, "write_leaderboard"),),
    "the rest of the ledger": ((Ledger, "epoch"), (Ledger, "end"), (Rungs, "report")),
}


@dataclass
class Meter:
    """Times of a search's trials as they end and of its epochs, and the driver's processor time, in seconds.

    `ends` has for each ended trial, in order: when (by time.monotonic), the process's time so far, and that of
    each part. `epochs` has when each epoch was noted and how long it took, `draws` when each trial was drawn.
    """

    ends: list[tuple[float, float, dict[str, float]]] = field(default_factory=list)
    epochs: list[tuple[float, float]] = field(default_factory=list)
    draws: list[float] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        self.stack: list[str] = []
        self.thread, self.since = get_ident(), time.thread_time()
        self.began = time.monotonic()

    def switch(self) -> None:
        """Count the time since the last switch for the part that is being done."""
        now = time.thread_time()
        if self.stack:
            self.parts[self.stack[-1]] += now - self.since
        self.since = now

    def wrapped(self, method: Callable[..., Any], part: str) -> Callable[..., Any]:
        """Return a method whose time counts for `part`."""

        @functools.wraps(method)
        def measured(*args: Any, **options: Any) -> Any:
            if get_ident() != self.thread:
                return method(*args, **options)
            self.switch()
            self.stack.append(part)
            try:
                return method(*args, **options)
            finally:
                self.switch()
                self.stack.pop()
                self.note(method.__qualname__, args)

        return measured

    def note(self, name: str, args: tuple[Any, ...]) -> None:
        """Take down when a trial was drawn, did an epoch or ended."""
        now = time.monotonic()
        if name == "Ledger.start_next":
            self.draws.append(now)
        elif name == "Ledger.epoch" and args[2].objective is not None:
            self.epochs.append((now, args[2].seconds))
        elif name == "Ledger.end":
            self.ends.append((now, time.process_time(), dict(self.parts)))

    def trial_ms(self, first: int, last: int) -> float:
        """Return the driver's milliseconds of processor time for each trial from one that ended to another."""
        return 1000 * (self.ends[last][1] - self.ends[first][1]) / (last - first)

    def by_part(self) -> dict[str, float]:
        """Return the milliseconds for each trial by part, once every slot has had its first."""
        first, last = self.ends[0], self.ends[-1]
        count = len(self.ends) - 1
        parts = {name: 1000 * (last[2].get(name, 0.0) - first[2].get(name, 0.0)) / count for name in PARTS}
        return {**parts, OTHER_THREADS: 1000 * (last[1] - first[1]) / count - sum(parts.values())}


@contextmanager
def metered() -> Iterator[Meter]:
    """Measure the search that runs in this thread while the context lasts."""
    meter = Meter()
    kept = [(owner, name, getattr(owner, name)) for methods in PARTS.values() for owner, name in methods]
    for part, methods in PARTS.items():
        for owner, name in methods:
            setattr(owner, name, meter.wrapped(getattr(owner, name), part))
    try:
        yield meter
    finally:
        for owner, name, method in kept:
            setattr(owner, name, method)
