"""Ledger: what is known of every trial, and the only writer of it.

A trial has one number everywhere: Optuna's, its folder's, the leaderboard's. Its trial.json is written when
it ends, before Optuna is told: what one of them lacks after a crash, `reconcile` mends from the other. A
trial that Optuna holds as running and that has no trial.json is taken up again, with the same settings.
"""

import time
import warnings
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from medray.config import TrainConfig
from medray.runs.documents import FAILED, FINISHED, STOPPED, TrialRecord
from medray.runs.leaderboard import rank, to_csv
from medray.runs.rundir import RunDir
from medray.search.optuna_study import SpreadTPE, StudyFile
from medray.search.search_options import Plan
from medray.space.search_space import SearchSpace
from medray.training.seeds import draw_seed

LEADERBOARD_EVERY_S = 10.0
_STATES = {FINISHED: TrialState.COMPLETE, STOPPED: TrialState.PRUNED, FAILED: TrialState.FAIL}


class Watcher(Protocol):
    """Who wants to know what happens to trials."""

    def trial_started(self, number: int, baseline: str | None, config: TrainConfig) -> None: ...  # noqa: D102
    def trial_epoch(self, number: int, result: Mapping[str, Any]) -> None: ...  # noqa: D102
    def trial_ended(self, record: TrialRecord) -> None: ...  # noqa: D102


class Ledger:
    """All trials of one search."""

    def __init__(
        self, run: RunDir, space: SearchSpace, plan: Plan, file: StudyFile, study: optuna.Study, watcher: Watcher
    ) -> None:
        self.run, self.space, self.plan, self.file, self.study = run, space, plan, file, study
        self.watcher = watcher
        self.records: dict[int, TrialRecord] = {}
        self.unfinished: deque[FrozenTrial] = deque()
        self.live: dict[int, Trial] = {}
        self.last_words: dict[int, str] = {}
        self._written = time.monotonic()

    # -- at the start

    def enqueue_baselines(self) -> None:
        """Put the baselines that are not there yet before everything that will be drawn."""
        there = {trial.user_attrs.get("baseline") for trial in self.study.get_trials(deepcopy=False)}
        for name in self.plan.baselines:
            if name in there:  # of an earlier driver, which may have been killed between two of them
                continue
            self.study.enqueue_trial(self.space.baseline_draw(name), user_attrs={"baseline": name})

    def reconcile(self) -> None:
        """Read what an earlier driver left, and find what is to be taken up again."""
        self.records = {record.number: record for record in self.run.records()}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in self.records:
                self._tell(self.records[trial.number])
            else:
                self.unfinished.append(trial)

    def left(self) -> int:
        """How many trials are still to be started or taken up."""
        return max(0, self.plan.trials - len(self.records))

    def epochs_reported(self) -> dict[int, list[tuple[int, float]]]:
        """Return what ASHA has seen, by trial number: epochs and the best objective so far.

        The last epoch of an unfinished trial is left out: its worker reports that one again.
        """
        seen = {}
        for number in self.run.trial_numbers():
            epochs = [(e["epoch"], e["objective"]) for e in self.run.trial(number).epochs()]
            seen[number] = epochs if number in self.records else epochs[:-1]
        return seen

    # -- while it runs

    def next(self) -> dict[str, Any]:
        """Draw the next trial, or take up an unfinished one; its worker finds its settings in its folder."""
        frozen = self.unfinished.popleft() if self.unfinished else None
        number = self._next_number() if frozen is None else frozen.number
        self.study.sampler = SpreadTPE(self.plan.seed, number, self._place(number))
        # A trial taken up again draws what it had drawn before.
        trial = self.study.ask() if frozen is None else Trial(self.study, frozen._trial_id)
        baseline = trial.user_attrs.get("baseline")
        self.live[number] = trial
        outside = baseline is not None and self.space.baselines[baseline].compare_only
        drawn = {} if outside else self.space.draw(trial)
        # Baselines share the seed, as in seed report 001: they differ in their settings alone.
        seed = self.plan.seed if baseline else draw_seed(self.plan.seed, number)
        config = self.space.config(drawn, seed=seed, max_epochs=self.plan.max_epochs, baseline=baseline)
        self.run.trial(number).write_json("config.json", config.to_dict())
        self.file.send()
        self.watcher.trial_started(number, baseline, config)
        return {"trial": number, "baseline": baseline}

    def epoch(self, number: int, result: Mapping[str, Any]) -> None:
        """Note an epoch of a trial."""
        if result.get("objective") is None:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a resumed trial reports its last epoch twice
            self.live[number].report(result["objective"], result["epoch"])
        self.watcher.trial_epoch(number, result)

    def end(self, number: int, result: Mapping[str, Any] | None, *, worker_lost: bool = False) -> None:
        """Note that a trial has ended, after its last epoch was noted."""
        live = self.live.pop(number)
        record = self._record(number, live.user_attrs.get("baseline"), result or {}, worker_lost)
        self.run.trial(number).write_record(record)
        self.records[number] = record
        if record.reason:
            live.set_user_attr("reason", record.reason)
        self._tell(record)
        self.file.send()
        self.watcher.trial_ended(record)
        if time.monotonic() - self._written > LEADERBOARD_EVERY_S:
            self.write_leaderboard()

    def write_leaderboard(self) -> None:
        """Write leaderboard.csv of the trials that have ended so far."""
        ranked = rank(self.records.values(), self.space.mode)
        self.run.write(self.run.LEADERBOARD, to_csv(ranked, self.space.metric).encode())
        self._written = time.monotonic()

    # -- within

    def _next_number(self) -> int:
        """The number that the next trial will have: an enqueued one has its number already."""
        trials = self.study.get_trials(deepcopy=False)
        return next((t.number for t in trials if t.state == TrialState.WAITING), len(trials))

    def _place(self, number: int) -> int:
        """How many searched trials came before this one."""
        trials = self.study.get_trials(deepcopy=False)[:number]
        return sum("baseline" not in trial.user_attrs for trial in trials)

    def _record(
        self, number: int, baseline: str | None, result: Mapping[str, Any], worker_lost: bool
    ) -> TrialRecord:
        reason = result.get("reason")
        if worker_lost:
            reason = self.last_words.get(number, "its worker process died")
        state = FAILED if reason else FINISHED if result.get("ended_by") else STOPPED
        ended_by = {FINISHED: result.get("ended_by"), STOPPED: "asha", FAILED: None}[state]
        return self.run.trial(number).summary(
            number, state, baseline=baseline, reason=reason, ended_by=ended_by, traceback=result.get("traceback")
        )

    def _tell(self, record: TrialRecord) -> None:
        value = record.objective if record.state == FINISHED else None  # Optuna takes a stopped one's last report
        self.study.tell(record.number, value, state=_STATES[record.state])
