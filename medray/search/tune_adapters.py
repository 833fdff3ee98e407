"""Tune's trainable, searcher, scheduler and callback; they only translate between Tune and the ledger."""

import math
import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback, Trainable
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from medray.cluster.connect import why_dead
from medray.data.dataset import ImageDataset
from medray.runs.rundir import RunDir
from medray.search.asha import Rungs
from medray.search.ledger import Ledger

RECOUNT_EVERY_S = 5.0


class TrialRunner(Trainable):
    """A worker process's side of Tune: a step is an epoch of the trial at hand."""

    def setup(self, config: dict[str, Any], dataset: ImageDataset, run: RunDir, threads: int, gpu: bool) -> None:
        """Prepare the process, then take up its first trial."""
        import torch  # the driver needs this class, but not what it runs

        from medray.cluster.trial_worker import Worker

        self.worker = Worker(threads, "cuda" if gpu and torch.cuda.is_available() else "cpu")
        self.run_dir = run
        self.train_split, self.val_split = dataset.split("train"), dataset.split("val")
        self._open(config)

    def _open(self, config: dict[str, Any]) -> None:
        folder = self.run_dir.trial(config["trial"])
        self.worker.open(folder, self.train_split, self.val_split, config["metric"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up the next trial in this process: Tune calls it where `reuse_actors` is on."""
        self._open(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch."""
        return self.worker.step()


class StudySearch(Searcher):
    """Tune's searcher: asks the ledger for settings and tells it what became of them.

    Ray's OptunaSearch does not do: it tells Optuna that a trial which ASHA stopped is complete, leaves one that
    gave NaN running for ever, and forgets the running ones of a killed driver.
    """

    def __init__(self, ledger: Ledger, count_slots: Callable[[], int]) -> None:
        super().__init__(metric="objective", mode=ledger.space.mode)
        self.ledger, self.count_slots = ledger, count_slots
        self.numbers: dict[str, int] = {}
        self.failure: Exception | None = None
        self._counted = (0, -math.inf)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Tune stores a searcher that it could restore, but the run's folder is the state."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial's settings."""
        if self.ledger.left() <= len(self.numbers):
            return Searcher.FINISHED  # type: ignore[no-any-return]
        # One more than there are slots: a worker that has ended a trial is kept only if another one waits,
        # and what is drawn further ahead knows less.
        if len(self.numbers) > self._slots_now():
            return None
        drawn = self.ledger.next()
        self.numbers[trial_id] = drawn["trial"]
        return {**drawn, "metric": self.ledger.space.metric}

    def _slots_now(self) -> int:
        """The slots there are, counted anew every few seconds: a cluster may grow."""
        slots, when = self._counted
        if time.monotonic() - when > RECOUNT_EVERY_S:
            slots = self.count_slots()
            self._counted = (slots, time.monotonic())
        return slots

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Note an epoch."""
        try:
            self.ledger.epoch(self.numbers[trial_id], result)
        except Exception as failure:
            self.failure = failure

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note a trial's end; Tune has not shown the last epoch to `on_trial_result`."""
        number = self.numbers.pop(trial_id)
        try:
            if result and not error:
                self.ledger.epoch(number, result)
            self.ledger.end(number, None if error else result, worker_lost=error)
        except Exception as failure:  # Tune would log it and go on; LastWords raises it
            self.failure = failure

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the run's folder is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the run's folder is the state."""


class Asha(FIFOScheduler):
    """Tune's scheduler: stops the trials that the rungs tell it to stop."""

    def __init__(self, rungs: Rungs) -> None:
        super().__init__()
        self.rungs = rungs

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop a trial that is behind on the rung it has just reached."""
        return str(TrialScheduler.STOP if self._report(trial, result) else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Note the last epoch, which Tune does not show to `on_trial_result`."""
        self._report(trial, result)

    def _report(self, trial: Trial, result: dict[str, Any]) -> bool:
        if "objective" not in result:  # it was ended before its first epoch
            return False
        number, is_baseline = trial.config["trial"], trial.config["baseline"] is not None
        return self.rungs.report(number, result["epoch"], result["objective"], baseline=is_baseline)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the rungs are filled from the trials' epochs."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the rungs are filled from the trials' epochs."""


class Watch(Callback):
    """Keeps what Ray says of a worker that died, and ends a search whose ledger can't be kept."""

    def __init__(self, search: StudySearch) -> None:
        self.search = search

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note why the worker died: the words of a trial that dies once more than it may."""
        words = f"its worker process died {trial.num_failures + 1} times ({why_dead(trial.get_error())})"
        self.search.ledger.last_words[trial.config["trial"]] = words

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Raise what stopped the ledger from being kept, such as a full disk."""
        if self.search.failure is not None:
            raise self.search.failure
