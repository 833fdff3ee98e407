"""The wall time of a search: how much is used, which trials may still begin, and which have to stop.

It knows no Ray and no files. Times are judged by epochs that were measured: those of trials with the same
backbone, or else of all. Before any epoch is measured, trials begin.
"""

import math
import time
from collections.abc import Callable, Sequence
from statistics import median

from medray.text import clock

HOUR_S = 3600.0
#: Of the whole time, what is kept for the ensemble: at most a tenth, else so many seconds and this share.
ENDING_SHARE, ENDING_S, ENDING_MORE = 0.1, 5.0, 0.02


def ending_seconds(hours: float) -> float:
    """Return the seconds at the end of a search of so many hours in which no trial runs: the ensemble's."""
    seconds = hours * HOUR_S
    return min(ENDING_SHARE * seconds, ENDING_S + ENDING_MORE * seconds)


def hours_for(seconds: float) -> float:
    """Return the hours, of two digits and rounded up, whose trials have so many seconds."""
    hours = max(seconds, 1.0) / HOUR_S
    least = min(hours / (1 - ENDING_SHARE), (hours + ENDING_S / HOUR_S) / (1 - ENDING_MORE))
    scale = 10.0 ** (1 - math.floor(math.log10(least)))
    return math.ceil(least * scale) / scale


class EpochTimes:
    """The seconds of all epochs so far, by trial, and the backbone of each trial."""

    def __init__(self) -> None:
        self.backbones: dict[int, str] = {}
        self.seconds: dict[int, list[float]] = {}

    def begin(self, number: int, backbone: str, seconds: Sequence[float] = ()) -> None:
        """Take a trial, with the seconds of epochs that an earlier command did."""
        self.backbones[number], self.seconds[number] = backbone, list(seconds)

    def add(self, number: int, seconds: float) -> None:
        """Take an epoch of a trial that has begun."""
        self.seconds[number].append(seconds)

    def expected(self, backbone: str) -> float | None:
        """Return the seconds that an epoch of a new trial will take; None before any is measured.

        They are the median over trials, of the same backbone if there are any, of each trial's median epoch.
        """
        measured = {number: median(seconds) for number, seconds in self.seconds.items() if seconds}
        alike = [seconds for number, seconds in measured.items() if self.backbones[number] == backbone]
        return median(alike or measured.values()) if measured else None

    def slowest(self) -> float | None:
        """Return the seconds of an epoch of the slowest trial, None before any is measured."""
        return max((median(seconds) for seconds in self.seconds.values() if seconds), default=None)


class TimeLimit:
    """The time of one search, of `hours` in all; None for no limit.

    Earlier commands have used `used_before` seconds of it. This one began at `started`, by the clock `now`.
    """

    def __init__(
        self, hours: float | None = None, used_before: float = 0.0, *, started: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.hours, self.used_before, self.now = hours, used_before, now
        self.started = now() if started is None else started
        self.times = EpochTimes()

    def used(self) -> float:
        """Return the seconds that all commands of this search have used."""
        return self.used_before + self.now() - self.started

    def left(self) -> float:
        """Return the seconds until no trial may run any more; infinite without a limit."""
        if self.hours is None:
            return math.inf
        return self.hours * HOUR_S - ending_seconds(self.hours) - self.used()

    def allows(self, backbone: str, epochs: int) -> bool:
        """Return whether a trial that begins now can do so many epochs."""
        expected = self.times.expected(backbone)
        if self.hours is None or (expected is None and not self.times.seconds):
            return True
        return epochs * (expected or 0.0) < self.left()

    def stops(self, number: int, seconds: float) -> bool:
        """Return whether a running trial has no time for its next epoch.

        That one is expected to take as long as the longer of its last two, of which the last took `seconds`.
        """
        return max([seconds, *self.times.seconds[number][-1:]]) > self.left()

    def describe(self) -> str:
        """Return the limit and what is used of it, in words."""
        return f"{self.hours:g} hours, of which {clock(self.used())} are used"
