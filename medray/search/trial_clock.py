"""Which trials of a search have time: drawn ones to reach their first rung, running ones for another epoch."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from medray.cluster.step_result import StepResult
from medray.config import TrainConfig
from medray.errors import TooShortError
from medray.search.time_limit import FEATURES_SHARE, TimeLimit, TrialKind, hours_for
from medray.text import clock

MOST_HELD_BACK = 8  # drawn trials in a row that have no time, until the search ends
MOST_TOO_LARGE = 64  # the same while there is time for trials of another kind
CLOCKS_DIFFER_S = 5.0  # those of two machines, at most


@dataclass
class TrialEpochs:
    """The epochs that a trial of one kind has `done`, those up to its first `rung` (or its last), and in `total`.

    `features`: its first one may also compute features of the images, which others find.
    """

    kind: TrialKind
    done: int
    rung: int
    total: int
    features: bool

    @classmethod
    def of(cls, config: TrainConfig, done: int, grace_epochs: int) -> "TrialEpochs":
        """Return those of a trial with these settings in a search whose first rung is at `grace_epochs`."""
        kind = TrialKind.of(config)
        total = 1 if kind.linear else config.epochs
        features = config.trainable_blocks is not None or config.freeze_epochs > 0
        return cls(kind, done, min(grace_epochs, total), total, features)

    @property
    def compared(self) -> bool:
        """Whether the first rung is reached."""
        return self.done >= self.rung


class TrialClock:
    """The epochs of each trial of a search that was `drawn` and of those that are `running`, by number.

    `limit` is the search's time, `out_of_time` are trials that it ends.
    """

    def __init__(self, limit: TimeLimit, grace_epochs: int) -> None:
        self.limit, self.grace_epochs = limit, grace_epochs
        self.drawn: dict[int, TrialEpochs] = {}
        self.running: dict[int, TrialEpochs] = {}
        self.out_of_time: set[int] = set()

    def draw(self, number: int, config: TrainConfig, done: int) -> TrialEpochs:
        """Take a trial that an earlier driver has left after `done` epochs, or a new one."""
        self.drawn[number] = TrialEpochs.of(config, done, self.grace_epochs)
        return self.drawn[number]

    def allows(self, number: int) -> bool:
        """Return whether a trial that was drawn can reach its first rung, or do an epoch more if it has."""
        epochs = self.drawn[number]
        return self.limit.allows(epochs.kind, max(1, epochs.rung - epochs.done))

    def most_held_back(self) -> int:
        """Return how many trials in a row may be drawn that have no time, until the search ends."""
        return MOST_TOO_LARGE if self.limit.allows_any(self.grace_epochs) else MOST_HELD_BACK

    def begin(self, number: int, seconds: Sequence[float]) -> None:
        """Let a trial that was drawn run; its epochs so far took so many `seconds`."""
        self.limit.times.begin(number, self.drawn[number].kind, seconds)
        self.running[number] = self.drawn[number]

    def note_epoch(self, number: int, result: StepResult) -> None:
        """Note an epoch; a resumed trial reports its last one twice."""
        if result.epoch > self.running[number].done:
            self.limit.times.add(number, result.seconds)
            self.running[number].done = result.epoch

    def may_wait(self) -> bool:
        """Return whether a trial that begins when the next running one ends surely can reach its first rung.

        Before any epoch of a training by steps is measured, none waits for these: it would be drawn unjudged.
        """
        slowest = self.limit.times.slowest()
        if slowest is None or self.limit.hours is None:
            return self.limit.hours is None
        only_steps = not any(epochs.kind.linear for epochs in self.running.values())
        if only_steps and not self.limit.times.knows_steps():
            return False
        waits = [(epochs.total - epochs.done) * slowest for epochs in self.running.values()]
        return min(waits, default=0.0) + self.grace_epochs * slowest < self.limit.left()

    def stops(self, number: int, result: StepResult, *, searched: bool, any_usable: bool) -> bool:
        """Return whether a trial that has just done an epoch has no time for its next one.

        So has one that would not have begun, had it been known how long an epoch takes, if it is `searched`.
        `any_usable`: a trial has ended that can be used.

        Raises:
            TooShortError: the time is so short that no trial has reached its first rung; they can be resumed.
        """
        epochs = self.running[number]
        # A first epoch that also computes features says little.
        judged = searched and (result.epoch > 1 or not epochs.features)
        if judged and result.epoch < epochs.rung and self.limit.is_too_slow(number, epochs.rung, result.seconds):
            self.out_of_time.add(number)
            return True
        if not self.limit.stops(number, result.seconds):
            return False
        if result.epoch < epochs.rung and not any_usable:
            self._check_any_compared(number, result.seconds, epochs.rung - result.epoch)
        self.out_of_time.add(number)
        return True

    def _may_be_compared(self, number: int) -> bool:
        """Return whether a running trial has reached its first rung, or has time to."""
        epochs, seconds = self.running[number], self.limit.times.seconds.get(number)
        left = epochs.rung - epochs.done
        if not seconds:
            return self.limit.allows(epochs.kind, left)
        return left <= 0 or left * seconds[-1] <= self.limit.left()

    def note_cut(self, number: int, result: StepResult, *, any_usable: bool) -> bool:
        """Note that a trial was ended within an epoch by its worker's clock; return whether the time is over.

        Raises:
            TooShortError: no trial has reached its first rung.
        """
        epochs = self.running[number]
        self.limit.ahead = max(self.limit.ahead, (result.clock or 0.0) - time.time())
        self.limit.times.add(number, result.seconds)
        self.out_of_time.add(number)
        if self.limit.left() > CLOCKS_DIFFER_S:  # others go on, and know how far that clock is ahead
            return False
        if not any_usable:
            self._check_any_compared(number, result.seconds, epochs.rung - epochs.done)
        return True

    def hold_back(self, number: int) -> None:
        """Let a running trial wait until there is time for it."""
        self.out_of_time.discard(number)
        del self.running[number]

    def _check_any_compared(self, number: int, seconds: float, epochs: int) -> None:
        """Check that trial `number` has reached its first rung, or another running one has or has time to.

        Raises:
            TooShortError: the time was too short; trial `number` needs so many `epochs` more, of so many seconds.
        """
        others = (other for other in self.running if other != number)
        if self.running[number].compared or any(map(self._may_be_compared, others)):
            return
        rung = self.running[number].rung
        why = f"an epoch of trial {number} takes {seconds:.2g} s and its first rung is epoch {rung}"
        raise TooShortError(self.limit.hours or 0.0, why, hours_for(self.limit.used() + epochs * seconds))

    def refuse_all(self) -> None:
        """Say that the time is too short for all that were drawn, of which none has begun.

        Raises:
            TooShortError: none was expected to reach its first rung in time.
        """
        needed = [seconds for epochs in self.drawn.values() if (seconds := self._expected(epochs)) is not None]
        if not needed:
            return
        least = min(needed)
        why = f"of those drawn the shortest is expected to need {clock(least)}"
        raise TooShortError(self.limit.hours or 0.0, why, hours_for(self.limit.used() + least))

    def _expected(self, epochs: TrialEpochs) -> float | None:
        """Return the seconds of a search in which such a trial reaches its first rung; None where not known."""
        seconds = self.limit.times.expected(epochs.kind)
        if seconds is None:
            return None
        share = FEATURES_SHARE if epochs.kind in self.limit.times.left_out else 1.0
        return seconds * max(1, epochs.rung - epochs.done) / share
