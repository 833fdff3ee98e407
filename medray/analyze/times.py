"""Where the time went, by what the run's files know: epochs' own seconds, and when trials began and ended.

An epoch's seconds are its training, the re-measured normalisation and the validation together. What a trial spent
beside its epochs is waiting for a slot, starting its worker, building the network and writing files: no file tells
these apart, nor how long Ray took to start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

from medray.analyze.open_runs import STATES, SeenRun
from medray.analyze.partial import ENDED, Training
from medray.errors import RunError

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Spent:
    """So many trainings of one kind, their epochs, and the epochs' seconds."""

    what: str
    trainings: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class TimeSpent:
    """`wall_seconds` from the first trial's start to the last one's end (None: the journal doesn't tell).

    `at_once` is the epochs' seconds over that, once all trials have ended: how many trained side by side on
    average. `beside_epochs` is the median over ended trials of what lay between their drawing and their end beyond
    their epochs. `resumed` counts the search's starts after the first; the breaks before them are part of both.
    """

    spent: tuple[Spent, ...]
    wall_seconds: float | None
    at_once: float | None
    beside_epochs: float | None
    resumed: int


def time_spent(run: SeenRun, study: "optuna.Study | None") -> TimeSpent:
    """Sum up a run's time; `study` is its Optuna study, which knows when trials began and ended."""
    kinds = [_sum(f"{state} trials", (t for t in run.trials if t.record.state == state)) for state in STATES]
    spent = [kind for kind in [*kinds, _sum("folds", run.folds)] if kind.trainings]
    wall, beside = _wall(run, study) if study is not None else (None, None)
    ended = all(t.record.state in ENDED for t in run.trials)
    at_once = sum(t.record.seconds for t in run.trials) / wall if wall and ended else None
    try:
        starts = sum(name.startswith("start-") for name in run.run.tune.names())
    except (RunError, OSError):
        starts = 1
    return TimeSpent(tuple(spent), wall, at_once, beside, max(0, starts - 1))


def _sum(what: str, trainings: Iterable[Training]) -> Spent:
    records = [training.record for training in trainings]
    return Spent(what, len(records), sum(r.epochs for r in records), sum(r.seconds for r in records))


def _wall(run: SeenRun, study: "optuna.Study") -> tuple[float | None, float | None]:
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
