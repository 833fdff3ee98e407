"""The time that a run took: the seconds of epochs, and the times at which trials began and ended.

An epoch's seconds are its training, the re-measured normalisation and the validation together. The rest of a trial
is waiting for a slot, starting its worker, building the network and writing files; no file separates these, or has
the time that Ray took to start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

from medray.analyze.open_runs import STATES, RunSnapshot
from medray.analyze.read_training import RUNNING, Training
from medray.errors import RunError

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Spent:
    """The number of trainings of one kind, and the number and seconds of their epochs."""

    kind: str
    trainings: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class TimeSpent:
    """The time of a run by kind of training, and its wall time.

    `wall_seconds` are those from the first trial's start to the last one's end, None where the journal has none.
    `at_once` is the number of trials trained in parallel on average, once all have ended. `beside_epochs` is the
    median over ended trials of the seconds between start and end beyond their epochs. `resumed` counts the starts
    of the search after the first; the breaks before them are part of both.
    """

    spent: tuple[Spent, ...]
    wall_seconds: float | None
    at_once: float | None
    beside_epochs: float | None
    resumed: int


def time_spent(run: RunSnapshot, study: "optuna.Study | None") -> TimeSpent:
    """Sum up a run's time; its Optuna `study` has the times at which trials began and ended."""
    kinds = [_sum(f"{state} trials", (t for t in run.trials if t.record.state == state)) for state in STATES]
    spent = [kind for kind in [*kinds, _sum("folds", run.folds)] if kind.trainings]
    wall, beside = (None, None) if study is None else _wall_seconds(run, study)
    ended = all(t.record.state != RUNNING for t in run.trials)
    at_once = sum(t.record.seconds for t in run.trials) / wall if wall and ended else None
    try:
        starts = sum(name.startswith("start-") for name in run.run.tune.names())
    except (RunError, OSError):
        starts = 1
    return TimeSpent(tuple(spent), wall, at_once, beside, max(0, starts - 1))


def _sum(kind: str, trainings: Iterable[Training]) -> Spent:
    records = [training.record for training in trainings]
    return Spent(kind, len(records), sum(r.epochs for r in records), sum(r.seconds for r in records))


def _wall_seconds(run: RunSnapshot, study: "optuna.Study") -> tuple[float | None, float | None]:
    """Return the wall time of all trials, and the median of what one takes beside its epochs."""
    trials = study.get_trials(deepcopy=False)
    begun = [t.datetime_start for t in trials if t.datetime_start]
    ended = {t.number: t for t in trials if t.datetime_complete and t.datetime_start}
    if not begun or not ended:
        return None, None
    seconds = {trial.record.number: trial.record.seconds for trial in run.trials}
    beside = [_between(t.datetime_start, t.datetime_complete) - seconds.get(n, 0.0) for n, t in ended.items()]
    return _between(min(begun), max(t.datetime_complete for t in ended.values())), max(0.0, median(beside))


def _between(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
