"""Tidy frames of runs: one row a trial, an epoch, or a fold; numbers are those of the files."""

from collections.abc import Sequence
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
    rows = []
    for run in runs:
        ended = [record for record in usable(run.records) if record.state != RUNNING]
        ranks = {record.number: position for position, record in enumerate(rank(ended, run.mode), start=1)}
        for trial in run.trials:
            record = trial.record
            settings = {setting_column(name): value for name, value in record.settings.items()}
            facts = {"baseline": record.baseline, "parameters": record.parameters or None}
            rows.append({**settings, **_training_row(run, trial), **facts, "rank": ranks.get(record.number)})
    return make_frame(rows, TRIALS, runs)


def epochs_frame(runs: Sequence[RunSnapshot]) -> "pd.DataFrame":
    """Return one row an epoch of a trial, in order; columns are `frame_columns.EPOCHS`."""
    rows = [
        {**epoch.metrics, **vars(epoch), "run": run.name, "trial": trial.record.number, "metric": run.metric}
        for run in runs
        for trial in run.trials
        for epoch in trial.epochs
    ]
    return make_frame(rows, EPOCHS, runs)


def folds_frame(runs: Sequence[RunSnapshot]) -> "pd.DataFrame":
    """Return one row a fold of a cross-validated trial; columns are `frame_columns.FOLDS`."""
    rows = [{"fold": fold.fold, **_training_row(run, fold)} for run in runs for fold in run.folds]
    return make_frame(rows, FOLDS, runs)


def _training_row(run: RunSnapshot, training: Training) -> Row:
    r = training.record
    return {
        **r.metrics,
        "run": run.name,
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
