"""Tidy frames of runs: one row a trial, an epoch, or a fold; numbers are those of the files."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from medray.analyze.frame_columns import EPOCHS, FOLDS, RUN, TRIALS, Column, setting_column
from medray.analyze.open_runs import RunSnapshot
from medray.analyze.read_training import RUNNING, Training
from medray.runs.leaderboard import rank, usable

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


def make_frame(rows: Sequence[Row], columns: Sequence[Column], runs: Sequence[RunSnapshot]) -> "pd.DataFrame":
    """Return a frame of `rows` with these columns and dtypes; `run` comes first where there are several runs.

    `frame.attrs["notes"]` has a line for each thing that could not be read.
    """
    import pandas as pd

    selected = [RUN, *columns] if len(runs) > 1 else list(columns)
    frame = pd.DataFrame(
        {c.name: pd.array([row.get(c.name) for row in rows], dtype=c.dtype) for c in selected}  # type: ignore[call-overload]
    )
    frame.attrs["notes"] = [note for run in runs for note in run.notes]
    return frame


def trials_frame(runs: Sequence[RunSnapshot]) -> "pd.DataFrame":
    """Return one row a trial, by run and number; columns are `frame_columns.TRIALS`."""
    return make_frame(_rows(runs, _trial_rows), TRIALS, runs)


def epochs_frame(runs: Sequence[RunSnapshot]) -> "pd.DataFrame":
    """Return one row an epoch of a trial, in order; columns are `frame_columns.EPOCHS`."""
    return make_frame(_rows(runs, _epoch_rows), EPOCHS, runs)


def folds_frame(runs: Sequence[RunSnapshot]) -> "pd.DataFrame":
    """Return one row a fold of a cross-validated trial; columns are `frame_columns.FOLDS`."""
    return make_frame(_rows(runs, _fold_rows), FOLDS, runs)


def _rows(runs: Sequence[RunSnapshot], rows: Callable[[RunSnapshot], Iterable[Row]]) -> list[Row]:
    return [{"run": run.name, **row} for run in runs for row in rows(run)]


def _trial_rows(run: RunSnapshot) -> Iterable[Row]:
    ended = [record for record in usable(run.records) if record.state != RUNNING]
    ranks = {record.number: position for position, record in enumerate(rank(ended, run.mode), start=1)}
    for trial in run.trials:
        record = trial.record
        yield {
            **{setting_column(name): value for name, value in record.settings.items()},
            **_training_row(run, trial),
            "rank": ranks.get(record.number),
            "baseline": record.baseline,
            "parameters": record.parameters or None,
        }


def _fold_rows(run: RunSnapshot) -> Iterable[Row]:
    for fold in run.folds:
        yield {"fold": fold.fold, **_training_row(run, fold)}


def _training_row(run: RunSnapshot, training: Training) -> Row:
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


def _epoch_rows(run: RunSnapshot) -> Iterable[Row]:
    for trial in run.trials:
        for epoch in trial.epochs:
            yield {**epoch.metrics, **vars(epoch), "trial": trial.record.number, "metric": run.metric}
