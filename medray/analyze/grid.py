"""A run as a Ray Tune ResultGrid, made from the run's own files.

Tune's files under tune/ can't be used: each start of the search has a folder with pickles, whose results are only
the number and objective of epochs, and a search that was killed has not even these.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray.tune import Checkpoint, ResultGrid, TuneError
from ray.tune.analysis import ExperimentAnalysis
from ray.tune.experiment import Trial

from medray.analyze.read_training import RUNNING, Training
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import FAILED, EpochRecord, TrialRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class _Storage:
    """The location of a trial: all that Tune asks of a storage here; Tune's own would write into the run."""

    storage_filesystem: Any
    trial_fs_path: str


class _Trial(Trial):
    """A trial that has ended, or is running in another process."""

    reason: str | None = None

    def get_error(self) -> TuneError | None:
        """Return the error that it failed with."""
        return TuneError(self.reason) if self.reason else None


class _Analysis(ExperimentAnalysis):
    """Tune's analysis of epochs that have been read already."""

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


def make_grid(run: RunDir, mode: str, trials: Sequence[Training]) -> ResultGrid:
    """Return the trials as a ResultGrid in the same order.

    A result's `metrics` are those of its last epoch, beside `objective`, `best_epoch`, `train_loss` and `seconds`;
    `config` its settings; `path` its folder; `checkpoint` the same folder, where it has weights. The best result
    is that of the best `objective`, as on the leaderboard, unless another metric is asked for; the `objective` of
    a failed trial is NaN.
    """
    import pandas as pd

    tune_trials, frames = [], {}
    for training in trials:
        results = [_result(epoch, training.record) for epoch in training.epochs]
        trial = _tune_trial(run, training.record, results)
        tune_trials.append(trial)
        frames[trial.trial_id] = pd.DataFrame(results)
    return ResultGrid(_Analysis(run, tune_trials, frames, default_metric="objective", default_mode=mode))


def _result(epoch: EpochRecord, record: TrialRecord) -> dict[str, Any]:
    return {
        **epoch.metrics,
        # A failed trial is not on the leaderboard, and must not be the best one here.
        "objective": math.nan if record.state == FAILED else epoch.objective,
        "best_epoch": epoch.best_epoch,
        "train_loss": epoch.train_loss,
        "learning_rate": epoch.learning_rate,
        "seconds": epoch.seconds,
        "training_iteration": epoch.epoch,
        "trial_id": f"{record.number:04d}",
        "config": record.settings,
    }


def _tune_trial(run: RunDir, record: TrialRecord, results: list[dict[str, Any]]) -> _Trial:
    from ray.train._internal.session import _TrainingResult

    system, root = run._opened
    number = f"{record.number:04d}"
    storage = _Storage(system, f"{root}/trials/{number}")
    trial = _Trial("medray", config=dict(record.settings), trial_id=number, storage=storage, stub=True)
    statuses = {FAILED: Trial.ERROR, RUNNING: Trial.RUNNING}
    trial.status, trial.reason = statuses.get(record.state, Trial.TERMINATED), record.reason
    for result in results:
        trial.update_last_result(dict(result))
    if not results:
        trial.run_metadata.last_result = {"trial_id": number, "config": record.settings}
    if record.best_epoch and run.trial(record.number).exists(TrialDir.WEIGHTS):
        checkpoint = Checkpoint(storage.trial_fs_path, system)
        result = _TrainingResult(checkpoint=checkpoint, metrics=results[-1] if results else {})
        trial.run_metadata.checkpoint_manager.register_checkpoint(result)
    return trial
