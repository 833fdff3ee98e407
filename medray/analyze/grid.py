"""A run as a Ray Tune ResultGrid, made from the run's own files.

What Tune keeps under tune/ is of no use for it: a folder for each start of the search, pickles inside, results of
an epoch's number and objective alone, and for a search that was killed not even these. A trial's folder has all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray.tune import Checkpoint, ResultGrid, TuneError
from ray.tune.analysis import ExperimentAnalysis
from ray.tune.experiment import Trial

from medray.runs.rundir import FAILED, RunDir, TrialRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class _Place:
    """Where a trial lies: all that Tune asks of its storage here; Tune's own would write into the run."""

    storage_filesystem: Any
    trial_fs_path: str


class _Trial(Trial):
    """A trial that has ended, or goes on in another process."""

    reason: str | None = None

    def get_error(self) -> TuneError | None:
        """Why it failed."""
        return TuneError(self.reason) if self.reason else None


class _Analysis(ExperimentAnalysis):
    """Tune's analysis over epochs that have been read already."""

    def __init__(
        self, run: RunDir, trials: list[_Trial], frames: dict[str, "pd.DataFrame"], **defaults: str
    ) -> None:
        self.frames = frames
        system, root = run._opened
        super().__init__(f"{root}/{run.RUN}", storage_filesystem=system, trials=trials, **defaults)
        self.trials = trials  # also where there are none

    def _load_trials(self) -> list[_Trial]:
        return []

    def _fetch_trial_dataframe(self, trial: _Trial) -> "pd.DataFrame":
        return self.frames[trial.trial_id]


def make_grid(run: RunDir, mode: str, trials: Sequence[tuple[TrialRecord, list[dict[str, Any]]]]) -> ResultGrid:
    """Return the trials, each a record with its epochs, as a ResultGrid in the same order.

    A result's `metrics` are those of its last epoch, beside `objective`, `best_epoch`, `train_loss` and `seconds`;
    `config` its settings; `path` its folder; `checkpoint` the same folder, where it has weights. The best result
    is that of the best `objective`, as on the leaderboard, unless another metric is asked for; the `objective` of
    a failed trial is NaN.
    """
    import pandas as pd

    made, frames = [], {}
    for record, epochs in trials:
        results = [_result(epoch, record) for epoch in epochs]
        trial = _trial(run, record, results)
        made.append(trial)
        frames[trial.trial_id] = pd.DataFrame(results)
    return ResultGrid(_Analysis(run, made, frames, default_metric="objective", default_mode=mode))


def _result(epoch: dict[str, Any], record: TrialRecord) -> dict[str, Any]:
    own = ("objective", "best_epoch", "train_loss", "learning_rate", "seconds")
    # A failed trial has no place on the leaderboard, and must not be the best one here.
    objective = {"objective": math.nan} if record.state == FAILED else {}
    facts = {"training_iteration": epoch["epoch"], "trial_id": f"{record.number:04d}", "config": record.settings}
    return {**epoch["metrics"], **{name: epoch[name] for name in own}, **objective, **facts}


def _trial(run: RunDir, record: TrialRecord, results: list[dict[str, Any]]) -> _Trial:
    system, root = run._opened
    number = f"{record.number:04d}"
    place = _Place(system, f"{root}/trials/{number}")
    trial = _Trial("medray", config=dict(record.settings), trial_id=number, storage=place, stub=True)
    ended = {FAILED: Trial.ERROR, "running": Trial.RUNNING}
    trial.status, trial.reason = ended.get(record.state, Trial.TERMINATED), record.reason
    for result in results:
        trial.update_last_result(dict(result))
    if not results:
        trial.run_metadata.last_result = {"trial_id": number, "config": record.settings}
    if record.best_epoch and run.trial(record.number).exists("weights.safetensors"):
        _keep(trial, Checkpoint(place.trial_fs_path, system), results[-1] if results else {})
    return trial


def _keep(trial: _Trial, checkpoint: Checkpoint, metrics: dict[str, Any]) -> None:
    from ray.train._internal.session import _TrainingResult

    trial.run_metadata.checkpoint_manager.register_checkpoint(
        _TrainingResult(checkpoint=checkpoint, metrics=metrics)
    )
