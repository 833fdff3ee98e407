"""What ASHA stopped, and an estimate of what that saved."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from medray.analyze.partial import Training
from medray.runs.rundir import FAILED, STOPPED, TrialRecord


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


@dataclass(frozen=True)
class FailureGroup:
    """One reason, in the words of the first that gave it, and who failed for it: `7`, or `7 fold 2`."""

    reason: str
    trainings: tuple[str, ...]


def failure_groups(trainings: Iterable[Training]) -> list[FailureGroup]:
    """Group the failed ones, the most frequent reason first."""
    groups: dict[str, list[Training]] = {}
    for training in trainings:
        if training.record.state == FAILED:
            reason = training.record.reason or "no reason given"
            groups.setdefault(re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", reason), []).append(training)
    found = [
        FailureGroup(own[0].record.reason or "no reason given", tuple(map(_name, own))) for own in groups.values()
    ]
    return sorted(found, key=lambda group: -len(group.trainings))


def _name(training: Training) -> str:
    return str(training.record.number) + ("" if training.fold is None else f" fold {training.fold}")
