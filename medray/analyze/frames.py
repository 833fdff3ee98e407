"""Tidy frames of runs: one row a trial, an epoch, or a fold. Numbers are the files' own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medray.analyze.frame_columns import EPOCHS, FOLDS, RUN, TRIALS, Column, setting_column
from medray.analyze.open_runs import SeenRun
from medray.analyze.partial import RUNNING, Training
from medray.runs.leaderboard import rank, usable

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


def make_frame(rows: Sequence[Row], columns: Sequence[Column], runs: Sequence[SeenRun]) -> "pd.DataFrame":
    """Lay rows out in `columns`, with their dtypes; `run` comes first where there are several runs.

    `frame.attrs["notes"]` says what could not be read.
    """
    import pandas as pd

    chosen = [RUN, *columns] if len(runs) > 1 else list(columns)
    frame = pd.DataFrame(
        {c.name: pd.array([row.get(c.name) for row in rows], dtype=c.dtype) for c in chosen}  # type: ignore[call-overload]
    )
    frame.attrs["notes"] = [note for run in runs for note in run.notes]
    return frame


def trials_frame(runs: Sequence[SeenRun]) -> "pd.DataFrame":
    """One row a trial, by run and number; columns are `columns.TRIALS`."""
    return make_frame(_rows(runs, _trial_rows), TRIALS, runs)


def epochs_frame(runs: Sequence[SeenRun]) -> "pd.DataFrame":
    """One row an epoch of a trial, in order; columns are `columns.EPOCHS`."""
    return make_frame(_rows(runs, _epoch_rows), EPOCHS, runs)


def folds_frame(runs: Sequence[SeenRun]) -> "pd.DataFrame":
    """One row a fold of a cross-validated trial; columns are `columns.FOLDS`."""
    return make_frame(_rows(runs, _fold_rows), FOLDS, runs)


def _rows(runs: Sequence[SeenRun], rows: Callable[[SeenRun], Iterable[Row]]) -> list[Row]:
    return [{"run": run.name, **row} for run in runs for row in rows(run)]


def _trial_rows(run: SeenRun) -> Iterable[Row]:
    ended = [record for record in usable(run.records) if record.state != RUNNING]
    places = {record.number: place for place, record in enumerate(rank(ended, run.mode), start=1)}
    for trial in run.trials:
        r = trial.record
        settings = {setting_column(name): value for name, value in r.settings.items()}
        own = {"rank": places.get(r.number), "baseline": r.baseline, "parameters": r.parameters or None}
        yield {**settings, **_common(run, trial), **own}


def _fold_rows(run: SeenRun) -> Iterable[Row]:
    for fold in run.folds:
        yield {"fold": fold.fold, **_common(run, fold)}


def _common(run: SeenRun, training: Training) -> Row:
    r = training.record
    return {
        **r.metrics,
        "trial": r.number,
        "state": r.state,
        "metric": run.metric,
        "objective": r.objective,
        "best_epoch": r.best_epoch or None,
        "epochs": r.epochs,
        "seconds": r.seconds,
        "ended_by": r.ended_by,
        "reason": r.reason,
    }


def _epoch_rows(run: SeenRun) -> Iterable[Row]:
    for trial in run.trials:
        for epoch in trial.epochs:
            yield {**_metrics(epoch), **epoch, "trial": trial.record.number, "metric": run.metric}


def _metrics(epoch: Mapping[str, Any]) -> Row:
    metrics: Row = epoch["metrics"]
    return metrics
