"""The summary of a run: everything that `medray analyze` prints, as plain values."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medray._types import Progress, silent
from medray.analyze.asha_savings import Savings, asha_savings
from medray.analyze.baselines import BaselineComparison, compare_with_baseline
from medray.analyze.failures import FailureGroup, failure_groups
from medray.analyze.importance import Importances, importances
from medray.analyze.journal import open_study
from medray.analyze.open_runs import STATES, RunSnapshot
from medray.analyze.times import TimeSpent, time_spent
from medray.data.dataset import ImageDataset
from medray.errors import RunError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Summary:
    """One run: `data` is the fingerprint of its data, `planned` the number of trials that were asked for,
    None where time alone bounds them.

    `states` counts trials by state; `notes` has one line for each thing that can't be read.
    """

    name: str
    location: str
    data: str | None
    metric: str
    mode: str
    planned: int | None
    states: dict[str, int]
    baselines: BaselineComparison | None
    stopped: Savings
    importance: Importances
    failures: list[FailureGroup]
    time: TimeSpent
    notes: list[str]

    @property
    def trials_line(self) -> str:
        """The number of trials, planned and by state: `3 of 12 trials (2 finished, 1 running)`."""
        counts = ", ".join(f"{count} {state}" for state, count in self.states.items() if count) or "none yet"
        total = sum(self.states.values())
        of = f" of {self.planned}" if self.planned not in (None, total) else ""
        return f"{total}{of} trials ({counts})"


def summarise(
    run: RunSnapshot, progress: Progress = silent, *, importance: bool = True, dataset: ImageDataset | None = None
) -> Summary:
    """Return the summary of a run; the importance of settings, which takes seconds, only if asked for.

    `dataset`, the run's data where they were loaded, has the patients, if any.
    """
    study, measured = None, Importances(0, why_not="not asked for")
    try:
        study = open_study(run.run)
        if importance:
            measured = importances(study, run.space, progress)
    except RunError as error:
        measured = Importances(0, why_not=str(error))
    return Summary(
        name=run.name,
        location=run.run.location,
        data=run.fingerprint,
        metric=run.metric,
        mode=run.mode,
        planned=run.facts.options.trials,
        states={state: sum(r.state == state for r in run.records) for state in STATES},
        baselines=compare_with_baseline(run, dataset),
        stopped=asha_savings(run.records),
        importance=measured,
        failures=failure_groups([*run.trials, *run.folds]),
        time=time_spent(run, study),
        notes=run.notes,
    )


def to_json(summaries: list[Summary], leaderboard: "pd.DataFrame") -> dict[str, Any]:
    """Return summaries and leaderboard as values that JSON can hold."""
    runs = [dataclasses.asdict(summary) for summary in summaries]
    for run, summary in zip(runs, summaries, strict=True):
        saved = summary.stopped
        run["stopped"] |= {"epochs_saved": saved.epochs_saved, "seconds_saved_estimate": saved.seconds_saved}
    return {"runs": runs, "leaderboard": rows_of(leaderboard)}


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return a frame's rows as plain values, None where one is missing."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
