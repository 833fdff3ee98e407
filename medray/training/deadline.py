"""Deadline: the time by which a training has to end, in the middle of an epoch if need be."""

import math
import time

LEAST_S = 3.0  # that an epoch may take in any case: so short a one is let go on, and of others it is known how far


class OutOfTime(Exception):  # noqa: N818  ends a training, and is no error
    """A training was ended within an epoch, which would have taken `seconds`, or more."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"an epoch that takes {seconds:.2g} s or more was ended")
        self.seconds = seconds


class Deadline:
    """Ends an epoch that goes on after the time `until`, as `time.time()` counts; never without one.

    That clock is the same on all machines of a cluster, as far as they are set right.
    """

    def __init__(self, until: float = math.inf) -> None:
        self.until, self.began = until, time.monotonic()
        self.batches_began = self.began

    def begin_epoch(self) -> None:
        """Note that an epoch, and what precedes the first one, begins now."""
        self.began = time.monotonic()

    def begin_batches(self) -> None:
        """Note that what precedes the epoch's training batches, such as features, is done."""
        self.batches_began = time.monotonic()

    def check(self, share: float | None = None) -> None:
        """Go on if there is time; `share` of the epoch's training batches is done, None of what is none of them.

        Raises:
            OutOfTime: there is none.
        """
        if time.time() < self.until:
            return
        now = time.monotonic()
        if now - self.began > LEAST_S:
            in_batches = (now - self.batches_began) * (1 / share - 1) if share else 0.0  # still to come
            raise OutOfTime(now - self.began + in_batches)
