"""Ledger: the state of every trial, and its only writer.

A trial has one number everywhere: Optuna's, its folder's, the leaderboard's. Its trial.json is written when
it ends, before Optuna's study is: what the study lacks after a crash, `reconcile` adds. A trial that is running
in the study and has no trial.json is resumed, with the same settings.
"""

import time
import warnings
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from medray.cluster.step_result import StepResult
from medray.config import TrainConfig
from medray.runs.leaderboard import rank, to_csv
from medray.runs.run_facts import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED, FINISHED, STOPPED, TrialRecord
from medray.search.optuna_study import SpreadTPE, StudyFile
from medray.space.search_space import SearchSpace
from medray.training.seeds import draw_seed

LEADERBOARD_EVERY_S = 10.0
OPTUNA_STATES = {FINISHED: TrialState.COMPLETE, STOPPED: TrialState.PRUNED, FAILED: TrialState.FAIL}


class TrialObserver(Protocol):
    """Is called when a trial starts, has done an epoch, or has ended."""

    def trial_started(self, number: int, baseline: str | None, config: TrainConfig) -> None: ...  # noqa: D102
    def trial_epoch(self, number: int, result: StepResult) -> None: ...  # noqa: D102
    def trial_ended(self, record: TrialRecord) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class StartedTrial:
    """A trial that is to be run; its worker finds its config in its folder. `baseline` is a name, or None."""

    number: int
    baseline: str | None


class Ledger:
    """All trials of one search: `records` of those that have ended, by number, `unfinished` ones to be resumed.

    `ended_before` trials had ended when an earlier driver's records were read. `death_reasons` holds, by number,
    why the worker of a trial died, as the runner heard of it.
    """

    def __init__(
        self, run: RunDir, space: SearchSpace, options: ResolvedOptions, file: StudyFile, study: optuna.Study,
        observer: TrialObserver,
    ) -> None:  # fmt: skip
        self.run, self.space, self.options, self.file, self.study = run, space, options, file, study
        self.observer = observer
        self.records: dict[int, TrialRecord] = {}
        self.ended_before = 0
        self.unfinished: deque[FrozenTrial] = deque()
        self.running: dict[int, Trial] = {}
        self.death_reasons: dict[int, str] = {}
        self._written = time.monotonic()

    # -- at the start

    def enqueue_baselines(self) -> None:
        """Enqueue the baselines that are not in the study yet, before everything that will be drawn.

        They take at most half of the trials, unless only baselines are to be run.
        """
        present = {trial.user_attrs.get("baseline") for trial in self.study.get_trials(deepcopy=False)}
        names = list(self.space.baselines)
        for name in names if self.options.baselines_only else names[: self.options.trials // 2]:
            if name in present:  # of an earlier driver, which may have been killed between two of them
                continue
            self.study.enqueue_trial(self.space.baseline_draw(name), user_attrs={"baseline": name})

    def reconcile(self) -> None:
        """Read the records that an earlier driver left, and find the trials that are to be resumed."""
        self.records = {record.number: record for record in self.run.records()}
        self.ended_before = len(self.records)
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in self.records:
                self._tell_study(self.records[trial.number])
            else:
                self.unfinished.append(trial)

    def left(self) -> int:
        """Return how many trials have not ended: to be started, resumed, or running."""
        return max(0, self.options.trials - len(self.records))

    def epochs_reported(self) -> dict[int, list[tuple[int, float]]]:
        """Return what ASHA has seen, by trial number: epochs and the best objective so far.

        The last epoch of an unfinished trial is left out: its worker reports that one again.
        """
        epochs_of = {}
        for number in self.run.trial_numbers():
            epochs = [(e.epoch, e.objective) for e in self.run.trial(number).epochs()]
            epochs_of[number] = epochs if number in self.records else epochs[:-1]
        return epochs_of

    # -- while it runs

    def start_next(self) -> StartedTrial:
        """Draw the next trial, or resume an unfinished one, and write its config."""
        trials = self.study.get_trials(deepcopy=False)
        frozen = self.unfinished.popleft() if self.unfinished else None
        if frozen is not None:
            number = frozen.number
        else:  # an enqueued trial has its number already
            number = next((t.number for t in trials if t.state == TrialState.WAITING), len(trials))
        drawn_before = sum("baseline" not in trial.user_attrs for trial in trials[:number])
        self.study.sampler = SpreadTPE(self.options.seed, number, drawn_before)
        # A resumed trial draws the same values again.
        trial = self.study.ask() if frozen is None else Trial(self.study, frozen._trial_id)
        baseline = trial.user_attrs.get("baseline")
        self.running[number] = trial
        outside = baseline is not None and self.space.baselines[baseline].compare_only
        drawn = {} if outside else self.space.draw(trial)
        # Baselines share the seed, as in seed report 001: they differ in their settings alone.
        seed = self.options.seed if baseline else draw_seed(self.options.seed, number)
        config = self.space.config(drawn, seed=seed, max_epochs=self.options.max_epochs, baseline=baseline)
        folder = self.run.trial(number)
        folder.write_json(folder.CONFIG, config.to_dict())
        self.file.send()
        self.observer.trial_started(number, baseline, config)
        return StartedTrial(number, baseline)

    def epoch(self, number: int, result: StepResult) -> None:
        """Note an epoch of a trial; one that failed is left out."""
        if result.objective is None:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a resumed trial reports its last epoch twice
            self.running[number].report(result.objective, result.epoch)
        self.observer.trial_epoch(number, result)

    def end(self, number: int, result: StepResult | None, *, worker_died: bool = False) -> None:
        """Write how a trial ended, after its last epoch was noted.

        `result` is that of its last epoch, None where there was none or the worker died. A trial is stopped where
        neither its last epoch nor a failure ended it.
        """
        trial = self.running.pop(number)
        reason = result.reason if result else None
        if worker_died:
            reason = self.death_reasons.get(number, "its worker process died")
        ended_by = result.ended_by if result else None
        state = FAILED if reason else FINISHED if ended_by else STOPPED
        record = self.run.trial(number).make_record(
            number,
            state,
            baseline=trial.user_attrs.get("baseline"),
            reason=reason,
            ended_by={FINISHED: ended_by, STOPPED: "asha", FAILED: None}[state],
            traceback=result.traceback if result else None,
            worker_died=worker_died,
        )
        self.run.trial(number).write_record(record)
        self.records[number] = record
        if record.reason:
            trial.set_user_attr("reason", record.reason)
        self._tell_study(record)
        self.file.send()
        self.observer.trial_ended(record)
        if time.monotonic() - self._written > LEADERBOARD_EVERY_S:
            self.write_leaderboard()

    def write_leaderboard(self) -> None:
        """Write leaderboard.csv of the trials that have ended so far."""
        ranked = rank(self.records.values(), self.space.mode)
        self.run.write(self.run.LEADERBOARD, to_csv(ranked, self.space.metric).encode())
        self._written = time.monotonic()

    def _tell_study(self, record: TrialRecord) -> None:
        value = record.objective if record.state == FINISHED else None  # a stopped trial's is its last report
        self.study.tell(record.number, value, state=OPTUNA_STATES[record.state])
