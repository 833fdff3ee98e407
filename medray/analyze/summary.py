"""All that `medray analyze` says of a run, as plain values."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medray._types import Progress, silent
from medray.analyze.baselines import Comparison, compare
from medray.analyze.importance import Importances, importances
from medray.analyze.journal import open_study
from medray.analyze.open_runs import STATES, SeenRun
from medray.analyze.stopped import FailureGroup, Savings, failure_groups, savings
from medray.analyze.times import TimeSpent, time_spent
from medray.errors import RunError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Summary:
    """One run: `data` is the fingerprint of its data, `planned` is how many trials were asked for.

    `states` counts them by state; `notes` is what can't be read.
    """

    name: str
    location: str
    data: str | None
    metric: str
    mode: str
    planned: int | None
    states: dict[str, int]
    baselines: Comparison | None
    stopped: Savings
    importance: Importances
    failures: list[FailureGroup]
    time: TimeSpent
    notes: list[str]


def summarise(run: SeenRun, progress: Progress = silent, *, importance: bool = True) -> Summary:
    """Work all tables out; those of importance, which take seconds, only if asked for."""
    study, found = None, Importances(0, why_not="not asked for")
    try:
        study = open_study(run.run)
        if importance:
            found = importances(study, run.space, progress)
    except RunError as error:
        found = Importances(0, why_not=str(error))
    planned = run.options.get("trials")
    return Summary(
        name=run.name,
        location=run.run.location,
        data=run.fingerprint,
        metric=run.metric,
        mode=run.mode,
        planned=planned if isinstance(planned, int) else None,
        states={state: sum(r.state == state for r in run.records) for state in STATES},
        baselines=compare(run),
        stopped=savings(run.records),
        importance=found,
        failures=failure_groups([*run.trials, *run.folds]),
        time=time_spent(run, study),
        notes=run.notes,
    )


def to_json(summaries: list[Summary], leaderboard: "pd.DataFrame") -> dict[str, Any]:
    """Return the same as values that JSON can hold."""
    runs = [dataclasses.asdict(summary) for summary in summaries]
    for run, summary in zip(runs, summaries, strict=True):
        saved = summary.stopped
        run["stopped"] |= {"epochs_saved": saved.epochs_saved, "seconds_saved_estimate": saved.seconds_saved}
    return {"runs": runs, "leaderboard": rows_of(leaderboard)}


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return a frame's rows as plain values, None where one is missing."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
