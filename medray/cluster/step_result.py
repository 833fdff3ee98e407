"""StepResult: what a worker reports of an epoch."""

from dataclasses import dataclass

from medray.runs.trial_record import TIME


@dataclass(frozen=True)
class StepResult:
    """What the driver decides by after an epoch, and no more: Tune keeps statistics of every number in a result.

    `objective` is the metric at the best epoch so far, None where the epoch failed for `reason` or was cut short.
    `ended_by` is epochs, patience or failed where it was the last epoch, and time where it was cut short for want
    of it. `seconds` are the epoch's own, estimated where it was cut short: `clock` is `time.time()` then.
    """

    epoch: int
    objective: float | None
    ended_by: str | None = None
    reason: str | None = None
    traceback: str | None = None
    seconds: float = 0.0
    clock: float | None = None

    @property
    def done(self) -> bool:
        """Whether this epoch was the training's last."""
        return self.ended_by is not None

    @property
    def cut_short(self) -> bool:
        """Whether this epoch was ended before it was done, for want of time."""
        return self.ended_by == TIME
