"""The trials that ASHA stopped, and an estimate of the time that this saved."""

from collections.abc import Sequence
from dataclasses import dataclass

from medray.runs.trial_record import TrialRecord


@dataclass(frozen=True)
class StoppedTrial:
    """A trial that ASHA stopped after `epochs` of `of_epochs`; seconds saved are an estimate, see `Savings`."""

    trial: int
    epochs: int
    of_epochs: int
    objective: float | None
    seconds_per_epoch: float
    epochs_saved: int
    seconds_saved: float

    @classmethod
    def of(cls, record: TrialRecord) -> "StoppedTrial":
        """Return the savings of one stopped trial of one epoch or more."""
        allowed = max(record.epochs, int(record.settings.get("epochs", record.epochs)))
        pace, saved = record.seconds / record.epochs, allowed - record.epochs
        return cls(record.number, record.epochs, allowed, record.objective, pace, saved, saved * pace)


@dataclass(frozen=True)
class Savings:
    """All trials that ASHA stopped, and what all trials trained.

    The seconds saved are an upper estimate: each stopped trial's own seconds an epoch, for all epochs that it was
    still allowed; its patience might have ended it before.
    """

    trials: tuple[StoppedTrial, ...]
    epochs_trained: int
    seconds_trained: float

    @property
    def epochs_saved(self) -> int:
        """The epochs that were allowed and not trained."""
        return sum(trial.epochs_saved for trial in self.trials)

    @property
    def seconds_saved(self) -> float:
        """The estimate of the time that they would have taken."""
        return sum(trial.seconds_saved for trial in self.trials)


def asha_savings(records: Sequence[TrialRecord]) -> Savings:
    """Return what ASHA stopped among `records`, in their order."""
    stopped = (StoppedTrial.of(record) for record in records if record.ended_by == "asha" and record.epochs)
    return Savings(tuple(stopped), sum(r.epochs for r in records), sum(r.seconds for r in records))
