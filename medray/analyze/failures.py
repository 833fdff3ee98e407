"""Failed trainings, grouped by reason."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from medray.analyze.read_training import Training
from medray.runs.trial_record import FAILED


@dataclass(frozen=True)
class FailureGroup:
    """Trainings that failed for one `reason`, that of the first: each as `7`, or as `7 fold 2`."""

    reason: str
    trainings: tuple[str, ...]


def failure_groups(trainings: Iterable[Training]) -> list[FailureGroup]:
    """Return the failed trainings by reason, the most frequent first; reasons may differ in their numbers."""
    groups: dict[str, list[Training]] = {}
    for training in trainings:
        if training.record.state == FAILED:
            reason = training.record.reason or "no reason given"
            groups.setdefault(re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", reason), []).append(training)
    grouped = [
        FailureGroup(group[0].record.reason or "no reason given", tuple(training.title for training in group))
        for group in groups.values()
    ]
    return sorted(grouped, key=lambda group: -len(group.trainings))
