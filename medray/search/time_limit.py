"""The wall time of a search: how much is used, which trials may still begin, and which have to stop.

It knows no Ray and no files. Times are judged by epochs that were measured: those of trials of the same kind,
or else of all that take steps. Before any such epoch is measured, trials begin.
"""

import math
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from statistics import median

from medray.config import LBFGS, MIRRORED, TrainConfig
from medray.text import clock

HOUR_S = 3600.0
#: Of the whole time, of one trial's first rung: so much for each trial that runs beside others, at most so much.
LARGEST_SHARE, LARGEST_SHARE_OF_ANY = 0.25, 0.4
STEP_COST, PART_COST = 3.0, 1.5  # forwards of an epoch that trains all of a backbone, or its last blocks only
#: Of the whole time, what is kept for the ensemble: at most a tenth, else so many seconds and this share.
ENDING_SHARE, ENDING_S, ENDING_MORE = 0.1, 5.0, 0.02
#: Of the whole time, all features that are computed before the first trial.
FEATURES_SHARE = 0.2


def ending_seconds(hours: float) -> float:
    """Return the seconds at the end of a search of so many hours in which no trial runs: the ensemble's."""
    seconds = hours * HOUR_S
    return min(ENDING_SHARE * seconds, ENDING_S + ENDING_MORE * seconds)


def hours_for(seconds: float) -> float:
    """Return the hours, of two digits and rounded up, whose trials have so many seconds."""
    hours = max(seconds, 1.0) / HOUR_S
    return rounded_up(min(hours / (1 - ENDING_SHARE), (hours + ENDING_S / HOUR_S) / (1 - ENDING_MORE)))


def rounded_up(hours: float) -> float:
    """Return the least number of two digits that is not below `hours`, which are above 0.

    >>> rounded_up(1.1401)
    1.2
    """
    scale = 10.0 ** (1 - math.floor(math.log10(hours)))
    return math.ceil(hours * scale) / scale


@dataclass(frozen=True)
class TrialKind:
    """What decides how long an epoch takes: the backbone, the size of its input, and what is trained.

    A `linear` head is fitted in one epoch, in which the first trial of its kind also computes the features of all
    images by its `pooling`, from its `weights` and in so many `views` by its `transforms`, and others do not.
    """

    backbone: str
    image_size: int | None = None
    trainable_blocks: int | None = None
    linear: bool = False
    pooling: str | None = None
    weights: str | None = None
    transforms: str | None = None
    views: int = 0

    @classmethod
    def of(cls, config: TrainConfig) -> "TrialKind":
        """Return the kind of a training."""
        common = config.backbone, config.image_size, config.trainable_blocks
        if config.optimizer != LBFGS:
            return cls(*common)
        views = config.views or 0 if config.pipeline else 0
        return cls(*common, True, config.pooling, config.weights, config.transforms if views else None, views)

    @property
    def passes(self) -> float:
        """What the features of a linear head, or an epoch, takes: in passes of the backbone over all images."""
        if self.linear:
            return (2 if self.pooling == MIRRORED else 1) * (1 + self.views)
        return STEP_COST if self.trainable_blocks is None else PART_COST

    def other_size(self, other: "TrialKind") -> float | None:
        """Return how many times more pixels this kind has than another one that is else the same, or None."""
        if replace(other, image_size=self.image_size) != self or not self.image_size or not other.image_size:
            return None
        return (self.image_size / other.image_size) ** 2


class EpochTimes:
    """The seconds of all epochs so far, by trial, and the kind of each trial."""

    def __init__(self) -> None:
        self.kinds: dict[int, TrialKind] = {}
        self.seconds: dict[int, list[float]] = {}
        #: By backbone and size: the seconds in which a trial computes the features of all images, seen once.
        self.forwards: dict[tuple[str, int | None], float] = {}
        #: Kinds of linear heads whose features are computed.
        self.embedded: set[TrialKind] = set()
        #: Kinds of linear heads whose features would take too long.
        self.left_out: set[TrialKind] = set()
        #: The median epoch of each trial that has one, and those of each kind that has begun, in order.
        self._medians: dict[int, float] = {}
        self._by_kind: dict[TrialKind, list[float]] = {}

    def begin(self, number: int, kind: TrialKind, seconds: Sequence[float] = ()) -> None:
        """Take a trial, with the seconds of epochs that an earlier command did."""
        self.kinds[number], self.seconds[number] = kind, list(seconds)
        self._by_kind.setdefault(kind, [])
        self._note_median(number)

    def add(self, number: int, seconds: float) -> None:
        """Take an epoch of a trial that has begun."""
        self.seconds[number].append(seconds)
        self._note_median(number)

    def _note_median(self, number: int) -> None:
        """Keep a trial's median epoch: every draw asks for those of all trials."""
        ordered = self._by_kind[self.kinds[number]]
        if number in self._medians:
            del ordered[bisect_left(ordered, self._medians.pop(number))]
        if self.seconds[number]:
            self._medians[number] = median(self.seconds[number])
            insort(ordered, self._medians[number])

    def begun(self) -> Collection[TrialKind]:
        """Return the kinds of which a trial has begun."""
        return self._by_kind.keys()

    def expected(self, kind: TrialKind) -> float | None:
        """Return the seconds that an epoch of a new trial will take; None before any is measured.

        They are the median over trials of each trial's median epoch: of the same kind if there are any, else of
        the kind at another size by the number of pixels, else by what the backbone takes to see all images if that
        is known, else of the backbone, else of all; none of these two are linear. Of linear heads of the same kind
        it is the least, as only the first one computes features; before it, what these take is known first.
        """
        if alike := self._by_kind.get(kind):
            return alike[0] if kind.linear else median(alike)
        forward = self._forward(kind) if kind not in self.embedded else None
        if kind.linear and forward is not None:
            return forward * kind.passes
        measured = [(other, seconds) for other, ordered in self._by_kind.items() for seconds in ordered]
        scaled = [pixels * seconds for other, seconds in measured if (pixels := kind.other_size(other))]
        if scaled:
            return max(scaled) if kind.linear else median(scaled)
        if forward is not None:
            return forward * kind.passes
        if kind.linear:
            return None
        others = [(other.backbone == kind.backbone, seconds) for other, seconds in measured if not other.linear]
        nearest = [seconds for same, seconds in others if same] or [seconds for _, seconds in others]
        return median(nearest) if nearest else None

    def _forward(self, kind: TrialKind) -> float | None:
        """Return the seconds in which a trial sees all images by the backbone, by the nearest size measured."""
        size, sizes = kind.image_size, {s: f for (name, s), f in self.forwards.items() if name == kind.backbone}
        if size in sizes:
            return sizes[size]
        measured = [other for other in sizes if other]
        if not size or not measured:
            return None
        nearest = min(measured, key=lambda other: abs(other - size))
        return sizes[nearest] * (size / nearest) ** 2

    def has_cheaper(self, kind: TrialKind, seconds: float) -> bool:
        """Return whether an epoch of another kind takes less than half of the `seconds` of one of this kind.

        Linear heads do not count for one that is trained by steps: beside them all of those would be too slow.
        """
        alike = [other for other in self.begun() if other != kind and (kind.linear or not other.linear)]
        others = [self.expected(other) for other in alike]
        return any(other is not None and 2 * other < seconds for other in others)

    def knows_steps(self) -> bool:
        """Return whether an epoch of some training by steps is measured."""
        return any(ordered and not kind.linear for kind, ordered in self._by_kind.items())

    def slowest(self) -> float | None:
        """Return the seconds of an epoch of the slowest trial, None before any is measured."""
        return max((ordered[-1] for ordered in self._by_kind.values() if ordered), default=None)


class TimeLimit:
    """The time of one search, of `hours` in all, with so many trials at once; None for no limit.

    Earlier commands have used `used_before` seconds of it. This one began at `started`, by the clock `now`.
    """

    def __init__(
        self, hours: float | None = None, used_before: float = 0.0, *, trials_at_once: int = 1,
        started: float | None = None, now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.hours, self.used_before, self.now = hours, used_before, now
        self.largest_share = min(LARGEST_SHARE * trials_at_once, LARGEST_SHARE_OF_ANY)
        self.started = now() if started is None else started
        self.times = EpochTimes()
        self.ahead = 0.0  # seconds, of the clock of a worker on another machine that ended an epoch too early

    def used(self) -> float:
        """Return the seconds that all commands of this search have used."""
        return self.used_before + self.now() - self.started

    def left(self) -> float:
        """Return the seconds until no trial may run any more; infinite without a limit."""
        if self.hours is None:
            return math.inf
        return self.hours * HOUR_S - ending_seconds(self.hours) - self.used()

    def until(self) -> float:
        """Return the time, as `time.time()` counts, when no trial may run any more; infinite without a limit."""
        return time.time() + self.left() + self.ahead

    def allows(self, kind: TrialKind, epochs: int) -> bool:
        """Return whether a trial that begins now can do so many epochs.

        One that would take more than a quarter of the whole time may not, where others take less: the time is for
        a search. Where others run beside it, it may take two fifths.
        """
        if kind in self.times.left_out:
            return False
        if self.hours is None:
            return True
        expected = self.times.expected(kind)
        if expected is None and not self.times.seconds:
            return True
        return not self._too_much(kind, epochs, expected or 0.0) and epochs * (expected or 0.0) < self.left()

    def allows_any(self, grace_epochs: int) -> bool:
        """Return whether a new trial of some measured kind can reach its first rung."""
        return any(self.allows(kind, 1 if kind.linear else grace_epochs) for kind in self.times.begun())

    def _too_much(self, kind: TrialKind, epochs: int, seconds: float) -> bool:
        share = self.largest_share * (self.hours or math.inf) * HOUR_S
        return epochs * seconds > share and self.times.has_cheaper(kind, seconds)

    def is_too_slow(self, number: int, epochs: int, seconds: float) -> bool:
        """Return whether a running trial would not have begun, had it been known that an epoch takes so long."""
        return self._too_much(self.times.kinds[number], epochs, seconds)

    def stops(self, number: int, seconds: float) -> bool:
        """Return whether a running trial has no time for its next epoch.

        That one is expected to take as long as the longer of its last two, of which the last took `seconds`.
        """
        return max([seconds, *self.times.seconds[number][-1:]]) > self.left()

    def describe(self) -> str:
        """Return the limit and what is used of it, in words."""
        return f"{self.hours:g} hours, of which {clock(self.used())} are used"
