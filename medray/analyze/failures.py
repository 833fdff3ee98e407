"""Trainings that failed, grouped by what they say; reasons that differ in numbers alone are one."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from medray.analyze.partial import Training
from medray.runs.rundir import FAILED


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
