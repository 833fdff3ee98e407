"""Tune's trainable, searcher, scheduler and callback; they only translate between Tune and the ledger."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from optuna.storages import BaseStorage
from ray.tune import Callback, Trainable
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from medray.cluster.connect import why_dead
from medray.data.dataset import ImageDataset
from medray.runs.rundir import RunDir
from medray.search.ledger import Ledger
from medray.search.optuna_study import NAME
from medray.space.search_space import Budget, SearchSpace

FEWEST_PEERS = 4
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


class StudySearch(OptunaSearch):
    """OptunaSearch over the run's own study.

    It asks the ledger for settings and tells it what became of them, because OptunaSearch would tell a
    trial that ASHA stopped as a complete one, leave one that gave NaN running for ever, and forget the
    running ones of a killed driver.
    """

    def __init__(self, space: SearchSpace, storage: BaseStorage) -> None:
        super().__init__(space=space.draw, metric="objective", mode=space.mode, study_name=NAME, storage=storage)
        self.metric_name = space.metric
        self.ledger: Ledger | None = None
        self.numbers: dict[str, int] = {}
        self.failure: Exception | None = None
        self.count_slots: Callable[[], int] = lambda: 1
        self._counted = (0, -math.inf)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Tune stores a searcher that it could restore, but the run's folder is the state."""
        return {}

    @property
    def study(self) -> Any:
        """The Optuna study."""
        return self._ot_study

    def _book(self) -> Ledger:
        assert self.ledger is not None, "the ledger is set before Tune starts"
        return self.ledger

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial's settings."""
        if self._book().left() <= len(self.numbers):
            return Searcher.FINISHED  # type: ignore[no-any-return]
        # One more than there are slots: a worker that has ended a trial is kept only if another one waits,
        # and what is drawn further ahead knows less.
        if len(self.numbers) > self._slots_now():
            return None
        drawn = self._book().next()
        self.numbers[trial_id] = drawn["trial"]
        return {**drawn, "metric": self.metric_name}

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
            self._book().epoch(self.numbers[trial_id], result)
        except Exception as failure:
            self.failure = failure

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note a trial's end; Tune has not shown the last epoch to `on_trial_result`."""
        number = self.numbers.pop(trial_id)
        try:
            if result and not error:
                self._book().epoch(number, result)
            self._book().end(number, None if error else result, worker_lost=error)
        except Exception as failure:  # Tune would log it and go on; LastWords raises it
            self.failure = failure

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the run's folder is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the run's folder is the state."""


class Asha(AsyncHyperBandScheduler):
    """ASHA (Li et al. 2020) that spares late bloomers.

    Three things differ from Tune's own. Rungs rank by the best objective so far, not by the epoch's own,
    which jumps on small validation sets. A rung stops nobody before it has seen `FEWEST_PEERS` trials: with
    one on record, the second would be stopped for being second. And baselines are ranked but not stopped,
    so that they are compared at their own full length.
    """

    def __init__(self, budget: Budget, max_epochs: int, mode: str) -> None:
        super().__init__(
            time_attr="epoch",
            metric="objective",
            mode=mode,
            max_t=max_epochs,
            grace_period=budget.grace_epochs,
            reduction_factor=budget.reduction_factor,
        )

    def feed(self, rungs: Mapping[int, list[tuple[int, float]]]) -> None:
        """Fill the rungs with what an earlier driver's trials reached."""
        for number, epochs in rungs.items():
            for epoch, objective in epochs:
                self._reach(number, epoch, objective)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Do nothing: there is one bracket."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop a searched trial that is below the rung it has just reached."""
        if result.get("objective") is None:
            return str(TrialScheduler.CONTINUE)
        below = self._reach(trial.config["trial"], result["epoch"], result["objective"])
        stop = below and trial.config["baseline"] is None
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Note the last epoch, which Tune does not show to `on_trial_result`."""
        if result.get("objective") is not None:
            self._reach(trial.config["trial"], result["epoch"], result["objective"])

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Do nothing."""

    def _reach(self, number: int, epoch: int, objective: float) -> bool:
        """Put a trial on the highest rung it has reached; returns whether it is below that rung's cutoff."""
        value = self._metric_op * objective
        for milestone, reached in self._brackets[0]._rungs:
            if epoch >= milestone and number not in reached:
                cutoff = self._brackets[0].cutoff(reached) if len(reached) >= FEWEST_PEERS else None
                reached[number] = value
                return bool(cutoff is not None and value < cutoff)
            if epoch >= milestone:
                return False
        return False

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the rungs are fed from the trials' epochs."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the rungs are fed from the trials' epochs."""


def make_scheduler(
    budget: Budget, max_epochs: int, mode: str, rungs: Mapping[int, list[tuple[int, float]]]
) -> TrialScheduler:
    """ASHA with its rungs as they were, or none where the first rung is beyond the last epoch."""
    if budget.grace_epochs >= max_epochs:
        return FIFOScheduler()
    scheduler = Asha(budget, max_epochs, mode)
    scheduler.feed(rungs)
    return scheduler


class Watch(Callback):
    """Keeps what Ray says of a worker that died, and ends a search whose ledger can't be kept."""

    def __init__(self, search: StudySearch) -> None:
        self.search = search

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note why the worker died: the words of a trial that dies once more than it may."""
        words = f"its worker process died {trial.num_failures + 1} times ({why_dead(trial.get_error())})"
        self.search._book().last_words[trial.config["trial"]] = words

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Raise what stopped the ledger from being kept, such as a full disk."""
        if self.search.failure is not None:
            raise self.search.failure
