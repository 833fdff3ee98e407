"""What ASHA stopped, and an estimate of what that saved."""

from collections.abc import Iterable
from dataclasses import dataclass

from medray.runs.rundir import STOPPED, TrialRecord


@dataclass(frozen=True)
class StoppedTrial:
    """A trial that ASHA stopped: what it trained, and what it was allowed beyond that."""

    trial: int
    epochs: int
    of_epochs: int
    objective: float | None
    seconds_per_epoch: float
    epochs_saved: int
    seconds_saved: float


@dataclass(frozen=True)
class Savings:
    """All that ASHA stopped beside what was trained.

    The seconds are an estimate, and an upper one: each stopped trial's own seconds an epoch, for all the epochs
    that it was still allowed; its patience might have ended it before.
    """

    trials: tuple[StoppedTrial, ...]
    epochs_trained: int
    seconds_trained: float

    @property
    def epochs_saved(self) -> int:
        """Epochs that were allowed and not trained."""
        return sum(trial.epochs_saved for trial in self.trials)

    @property
    def seconds_saved(self) -> float:
        """What they would have taken, by the estimate."""
        return sum(trial.seconds_saved for trial in self.trials)


def savings(records: Iterable[TrialRecord]) -> Savings:
    """Find what ASHA stopped among `records`, by number."""
    known = list(records)
    stopped = tuple(_stopped(record) for record in known if record.state == STOPPED and record.epochs)
    return Savings(stopped, sum(r.epochs for r in known), sum(r.seconds for r in known))


def _stopped(record: TrialRecord) -> StoppedTrial:
    allowed = max(record.epochs, int(record.settings.get("epochs", record.epochs)))
    pace, left = record.seconds / record.epochs, allowed - record.epochs
    return StoppedTrial(record.number, record.epochs, allowed, record.objective, pace, left, left * pace)
