"""The time that a run took: the seconds of epochs, and the times at which trials began and ended.

An epoch's seconds are its training, the re-measured normalisation and the validation together. The rest of a trial
is waiting for a slot, starting its worker, building the network and writing files; no file separates these, or has
the time that Ray took to start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
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
    spent = tuple(kind for kind in [*kinds, _sum("folds", run.folds)] if kind.trainings)
    try:
        starts = sum(name.startswith("start-") for name in run.run.tune.names())
    except (RunError, OSError):
        starts = 1
    times = (
        {}
        if study is None
        else {t.number: (t.datetime_start, t.datetime_complete) for t in study.get_trials(deepcopy=False)}
    )
    begun = [begin for begin, _ in times.values() if begin]
    ended = {number: (begin, end) for number, (begin, end) in times.items() if begin and end}
    if not ended:
        return TimeSpent(spent, None, None, None, max(0, starts - 1))
    seconds = {trial.record.number: trial.record.seconds for trial in run.trials}
    wall = (max(end for _, end in ended.values()) - min(begun)).total_seconds()
    beside = [(end - begin).total_seconds() - seconds.get(n, 0.0) for n, (begin, end) in ended.items()]
    all_ended = all(trial.record.state != RUNNING for trial in run.trials)
    at_once = sum(seconds.values()) / wall if wall and all_ended else None
    return TimeSpent(spent, wall, at_once, max(0.0, median(beside)), max(0, starts - 1))


def _sum(kind: str, trainings: Iterable[Training]) -> Spent:
    records = [training.record for training in trainings]
    return Spent(kind, len(records), sum(r.epochs for r in records), sum(r.seconds for r in records))
