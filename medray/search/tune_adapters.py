"""Tune's trainable, searcher, scheduler and callback: they only translate between Tune and the ledger."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError
from ray.tune import Callback, Trainable
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from medray.cluster.leaving import LeavingNodes
from medray.cluster.ray_errors import failure_line, is_preemption
from medray.cluster.step_result import StepResult
from medray.cluster.worker_group import WorkerGroup
from medray.errors import MedrayError, RunError
from medray.runs.rundir import RunDir
from medray.search.asha import Rungs
from medray.search.ledger import Ledger
from medray.space.search_space import Resources
from medray.text import clock

if TYPE_CHECKING:
    from medray.cluster.trial_worker import Worker

COUNT_SLOTS_EVERY_S = 5.0
SILENCE_S = 1800.0  # after the time, within which any worker has ended its epoch


class TrialRunner(Trainable):
    """Tune's trainable, in a worker process: a step is an epoch of the present trial."""

    def setup(self, config: dict[str, Any], dataset: list[Any], run: RunDir, resources: Resources) -> None:
        """Prepare the process, then open its first trial; `dataset` is a reference, in a list."""
        self.worker = WorkerGroup(dataset, resources) if resources.workers > 1 else _worker(resources)
        self.node, self.leaving = ray.get_runtime_context().get_node_id(), LeavingNodes()
        self.run_dir, images = run, ray.get(dataset[0])
        self.train_split, self.val_split = images.split("train"), images.split("val")
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Open the next trial in this process: Tune calls it where `reuse_actors` is on."""
        folder = self.run_dir.trial(new_config["trial"])
        metric, until = new_config["metric"], new_config["until"]
        self.worker.open(folder, self.train_split, self.val_split, metric, until)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch.

        Raises:
            RayActorError: the node is about to go. Tune counts it as a preemption, which is not one of the deaths
                that it allows, and takes the trial elsewhere; its last epoch is written.
        """
        if self.node in self.leaving():
            raise RayActorError(error_msg="its node is about to go", preempted=True)
        result = self.worker.step()
        return {**dataclasses.asdict(result), "done": result.done}


def _worker(resources: Resources) -> "Worker":
    import torch  # the driver needs what is in this file, but not this

    from medray.cluster.trial_worker import Worker

    gpu = resources.gpu > 0 and torch.cuda.is_available()
    return Worker(max(1, int(resources.cpu)), "cuda" if gpu else "cpu")


def step_result(result: dict[str, Any]) -> StepResult | None:
    """Return what the worker reported, out of all that Tune adds to it; None before the first epoch."""
    if "epoch" not in result:
        return None
    return StepResult(**{field.name: result[field.name] for field in dataclasses.fields(StepResult)})


class StudySearch(Searcher):
    """Tune's searcher: asks the ledger for trials, and tells it how they ended.

    Ray's OptunaSearch does not do: it tells Optuna that a trial which ASHA stopped is complete, leaves one that
    gave NaN running for ever, and forgets the running ones of a killed driver.
    """

    def __init__(self, ledger: Ledger, count_slots: Callable[[], int]) -> None:
        super().__init__(metric="objective", mode=ledger.space.mode)
        self.ledger, self.count_slots = ledger, count_slots
        self.numbers: dict[str, int] = {}
        self.failure: Exception | None = None
        self.slots, self.slots_counted_at = 0, -math.inf

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Tune stores a searcher that it could restore, but the run's folder is the state."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial as a config for `TrialRunner`, or None where enough trials wait.

        None also while the last ones run of a search with a limit of time: one of them may be put back.
        """
        if self.ledger.left() <= len(self.numbers):
            waits = self.numbers and self.ledger.limit.hours is not None
            return None if waits else Searcher.FINISHED
        if time.monotonic() - self.slots_counted_at > COUNT_SLOTS_EVERY_S:  # a cluster may grow
            self.slots, self.slots_counted_at = self.count_slots(), time.monotonic()
        # One more than there are slots: a worker that has ended a trial is kept only if another one waits,
        # and a trial that is drawn further ahead is drawn from fewer results.
        ahead = len(self.numbers) - self.slots
        if ahead > 0 or (ahead == 0 and not self.ledger.clock.may_wait()):
            return None
        trial = self.ledger.start_next()
        if trial is None:
            return None if self.numbers else Searcher.FINISHED
        self.numbers[trial_id] = trial.number
        metric, until = self.ledger.space.metric, trial.until
        return {"trial": trial.number, "baseline": trial.baseline, "metric": metric, "until": until}

    def check_alive(self) -> None:
        """Check that trials run only within a search's time: workers end their epochs soon after it.

        Raises:
            RunError: it has long been over; the workers are gone.
        """
        if self.numbers and self.ledger.limit.left() < -SILENCE_S:
            numbers = ", ".join(map(str, sorted(self.numbers.values())))
            raise RunError(
                f"the time was over {clock(-self.ledger.limit.left())} ago, and trials that run still ({numbers}) "
                "are not heard of: their nodes are gone, or hang; what was done is kept, --resume goes on from it"
            )

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Note an epoch."""
        self._note_epoch(self.numbers[trial_id], step_result(result))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note a trial's last epoch, which Tune does not give to `on_trial_result`, and its end."""
        number, last = self.numbers.pop(trial_id), None if error else step_result(result or {})
        self._note_epoch(number, last)
        try:
            self.ledger.end(number, last, worker_died=error)
        except Exception as failure:
            self.failure = failure

    def lacks_time(self, number: int, result: StepResult) -> bool:
        """Return whether a trial is to be stopped, as its next epoch would end too late."""
        try:
            return self.ledger.lacks_time(number, result)
        except MedrayError as failure:  # no trial has time; SearchCallback raises it
            self.failure = failure
            return False

    def _note_epoch(self, number: int, result: StepResult | None) -> None:
        try:
            if result is not None:
                self.ledger.epoch(number, result)
        except Exception as failure:  # Tune would log it and go on; SearchCallback raises it
            self.failure = failure

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the run's folder is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the run's folder is the state."""


class Asha(FIFOScheduler):
    """Tune's scheduler: stops the trials that the rungs tell it to stop, and those that have no more time."""

    def __init__(self, rungs: Rungs, lacks_time: Callable[[int, StepResult], bool]) -> None:
        super().__init__()
        self.rungs, self.lacks_time = rungs, lacks_time

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop a trial that is behind on the rung it has just reached, or whose next epoch would end too late."""
        stopped, epoch = self._report(trial, result), step_result(result)
        if not stopped and epoch is not None:
            stopped = self.lacks_time(trial.config["trial"], epoch)
        return str(TrialScheduler.STOP if stopped else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Report the last epoch, which Tune does not give to `on_trial_result`."""
        self._report(trial, result)

    def _report(self, trial: Trial, result: dict[str, Any]) -> bool:
        epoch = step_result(result)
        number, is_baseline = trial.config["trial"], trial.config["baseline"] is not None
        return epoch is not None and self.rungs.report(number, epoch.epoch, epoch.objective, baseline=is_baseline)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the rungs are filled from the trials' epochs."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the rungs are filled from the trials' epochs."""


class SearchCallback(Callback):
    """Tune's callback: keeps why a worker died, and ends a search whose ledger can't be written."""

    def __init__(self, search: StudySearch) -> None:
        self.search = search
        self.epochs: dict[str, int] = {}  # done by each trial

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note why the worker died: the reason of a trial whose workers die once more than they may."""
        error = trial.get_error()
        if is_preemption(error):
            return
        reason = f"its worker process died {trial.num_failures + 1} times ({failure_line(error)})"
        self.search.ledger.death_reasons[trial.config["trial"]] = reason

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Let an epoch end a row of deaths: nodes that go without a notice are not the trial's fault."""
        epoch = step_result(result)
        if epoch is not None and epoch.epoch > self.epochs.get(trial.trial_id, 0):
            self.epochs[trial.trial_id] = epoch.epoch
            trial.run_metadata.num_failures = 0

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Raise what kept the ledger from being written, such as a full disk; workers that are gone end it too."""
        if self.search.failure is not None:
            raise self.search.failure
        self.search.check_alive()
