"""Ledger: the state of every trial, and its only writer.

A trial has one number everywhere: Optuna's, its folder's, the leaderboard's. Its trial.json is written when
it ends, before Optuna's study is: what the study lacks after a crash, `reconcile` adds. A trial that is running
in the study and has no trial.json is resumed, with the same settings.
"""

import contextlib
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from medray.cluster.step_result import StepResult
from medray.config import TrainConfig
from medray.ensemble.manifest import read_manifest
from medray.errors import MedrayError, RunError, one_line
from medray.runs.kept_weights import KeptWeights
from medray.runs.leaderboard import rank, to_csv, usable
from medray.runs.run_facts import ResolvedOptions, SearchState
from medray.runs.rundir import MANIFEST, RunDir, TrialDir
from medray.runs.trial_record import FAILED, FINISHED, FLAT, STOPPED, TIME, EpochRecord, TrialRecord
from medray.search.enqueue import QUEUED
from medray.search.flatness import is_flat
from medray.search.head_count import HeadCount
from medray.search.optuna_study import BestAndLatest, SpreadTPE, StudyFile
from medray.search.time_limit import TimeLimit, TrialKind
from medray.search.trial_clock import TrialClock
from medray.search.warm_start import frozen_trials
from medray.space.search_space import SearchSpace
from medray.training.seeds import draw_seed

LEADERBOARD_EVERY_S = STATE_EVERY_S = 10.0
LEADERBOARD_SHARE = 0.01  # of the time, at most: that of thousands of trials takes longer to write
UNBOUNDED_STATE_EVERY_S = 1.0  # of a search without a time limit, as trials end
MOST_HEADS = 16  # drawn linear heads in a row of which there are enough, until one begins all the same
MOST_FAILED = 20
OPTUNA_STATES = {FINISHED: TrialState.COMPLETE, STOPPED: TrialState.PRUNED, FAILED: TrialState.FAIL}


class TrialObserver(Protocol):
    """Is called when a trial starts, has done an epoch, has to wait until it starts again, or has ended."""

    def trial_started(self, number: int, baseline: str | None, config: TrainConfig) -> None: ...  # noqa: D102
    def trial_epoch(self, number: int, result: StepResult) -> None: ...  # noqa: D102
    def trial_waits(self, number: int) -> None: ...  # noqa: D102
    def trial_ended(self, record: TrialRecord) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class StartedTrial:
    """A trial that is to be run; its worker finds its config in its folder. `baseline` is a name, or None.

    It may run until a time, as `time.time()` counts.
    """

    number: int
    baseline: str | None
    until: float


class Ledger:
    """All trials of one search: `records` of those that have ended, by number, `unfinished` ones to be resumed.

    `clock` says which trials have time; `ended_by` is time or flat once no further trial begins. Trials that were
    drawn but have no time to reach their first rung are `held_back`: they go first where more time is given.
    `ended_before` trials had ended when an earlier driver's records were read. `death_reasons` holds, by number,
    why the worker of a trial died, as the runner heard of it.
    """

    def __init__(
        self, run: RunDir, space: SearchSpace, options: ResolvedOptions, file: StudyFile, study: optuna.Study,
        observer: TrialObserver, limit: TimeLimit, standard_error: Callable[[TrialRecord], float | None],
    ) -> None:  # fmt: skip
        self.run, self.space, self.options, self.file, self.study = run, space, options, file, study
        self.warm_start = run.read_warm_start()
        self.known_trials = BestAndLatest(study, frozen_trials(self.warm_start, space))
        self.observer, self.limit, self.standard_error = observer, limit, standard_error
        self.clock = TrialClock(limit, space.budget.grace_epochs)
        self.ended_by: str | None = None
        self.held_back: deque[FrozenTrial] = deque()
        self.head_count = HeadCount()
        self.records: dict[int, TrialRecord] = {}
        self.kept_weights = KeptWeights(run, space.mode)
        self.ended_before = 0
        self.unfinished: deque[FrozenTrial] = deque()
        self.running: dict[int, Trial] = {}
        self.death_reasons: dict[int, str] = {}
        self.drawn_before = [0]  # how many trials before each one Optuna drew, by number
        self._saved = time.monotonic()
        self._leaderboard_due = self._saved + LEADERBOARD_EVERY_S

    # -- at the start

    def _members(self) -> set[int]:
        """Return the trials that the ensemble and the selections of an earlier command are made of."""
        members: set[int] = set()
        if self.run.ensemble.exists(MANIFEST):
            with contextlib.suppress(RunError):  # of another version of medray, or damaged: made anew at the end
                members |= {member.trial for member in read_manifest(self.run.ensemble).members}
        selections = self.run.read_selections()
        for selection in selections.selections if selections else ():
            members |= {member.trial for member in selection.members}
        return members

    def reconcile(self) -> None:
        """Read the records that an earlier driver left, and find the trials that are to be resumed."""
        self.records = {record.number: record for record in self.run.records()}
        self.ended_before = len(self.records)
        self.kept_weights = KeptWeights(self.run, self.space.mode, self.records.values(), self._members())
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            folder = self.run.trial(trial.number)
            if trial.number in self.records:
                self._tell_study(self.records[trial.number])
            elif folder.exists(folder.CONFIG):
                self.unfinished.append(trial)
            else:
                self.held_back.append(trial)
        self.file.send()
        trials = self.study.get_trials(deepcopy=False)
        baselines = {trial.number for trial in trials if "baseline" in trial.user_attrs}
        waiting = {trial.number for trial in self.held_back}
        for number in self.run.trial_numbers():
            if number in waiting:  # a folder that the end of an earlier driver has left empty
                continue
            folder = self.run.trial(number)
            kind = TrialKind.of(TrainConfig.from_dict(folder.read_json(folder.CONFIG)))
            self.head_count.begin(number, kind, baseline=number in baselines)
            if self.options.hours is not None:
                self.limit.times.begin(number, kind, [epoch.seconds for epoch in folder.epochs()])

    def left(self) -> float:
        """Return how many trials have not ended, running ones included; infinite where only time bounds them."""
        if self.ended_by or self._all_fail():
            return len(self.running) + len(self.unfinished)
        return math.inf if self.options.trials is None else max(0, self.options.trials - len(self.records))

    def _all_fail(self) -> bool:
        """Return whether so many trials failed, and none did not, that a search bounded by time alone gives up."""
        enough = self.options.trials is None and len(self.records) >= MOST_FAILED
        return enough and all(record.state == FAILED for record in self.records.values())

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

    def start_next(self) -> StartedTrial | None:
        """Write the config of the next trial, an unfinished one or one that can reach its first rung; return it.

        None where there is no time for one: the search has ended then. A linear head of which there are enough
        waits for other trials, in a search without a limit of time for `MOST_HEADS` draws at most.
        """
        while self.unfinished:
            frozen = self.unfinished.popleft()
            trial, before = self._open(frozen), self.run.trial(frozen.number).epochs()
            if started := self._start(trial, before):
                return started
            if before:
                self.running[frozen.number] = trial
                self.clock.out_of_time.add(frozen.number)
                self.end(frozen.number, _settled(self.run.trial(frozen.number)))
            else:
                self.held_back.append(frozen)
        again, attempts = len(self.held_back), 0
        while self.ended_by is None and attempts < again + self.clock.most_held_back():
            frozen = self.held_back.popleft() if attempts < again else None
            if frozen is None or self._may_have_time(frozen.number):
                trial = self._open(frozen)
                bounded = self.limit.hours is not None or attempts - again < MOST_HEADS
                if started := self._start(trial, bounded_heads=bounded):
                    self.held_back.rotate(attempts if frozen else 0)
                    return started
                frozen = self.study.get_trials(deepcopy=False)[trial.number]
            self.held_back.append(frozen)
            attempts += 1
        self.ended_by = self.ended_by or TIME
        return None

    def _may_have_time(self, number: int) -> bool:
        """Return whether a trial that was held back is not known to have to wait, without drawing it again."""
        if number not in self.clock.drawn:
            return True
        return self.clock.allows(number) and not self.head_count.is_enough(self.clock.drawn[number].kind)

    def _open(self, frozen: FrozenTrial | None) -> Trial:
        """Return a trial that was drawn before, which draws the same values again, or the next one to be drawn."""
        trials = self.study.get_trials(deepcopy=False)
        if frozen is not None:
            number = frozen.number
        else:  # an enqueued trial has its number already
            waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            number = waiting[0].number if waiting else len(trials)
        for trial in trials[len(self.drawn_before) - 1 :]:
            self.drawn_before.append(self.drawn_before[-1] + (not QUEUED & trial.user_attrs.keys()))
        drawn_before = self.drawn_before[number]
        # With the same seed the first draws would be those of an earlier run once more.
        drawn_before += sum(run.trials for run in self.warm_start.runs)
        self.study.sampler = SpreadTPE(self.options.seed, number, drawn_before, self.known_trials)
        return self.study.ask() if frozen is None else Trial(self.study, frozen._trial_id)

    def _start(
        self, trial: Trial, before: Sequence[EpochRecord] = (), *, bounded_heads: bool = False
    ) -> StartedTrial | None:
        """Draw a trial's settings and write its config; return None where it has no time.

        So it does with `bounded_heads` where it is a linear head of which there are enough. An earlier driver has
        done the epochs `before`.
        """
        number, baseline = trial.number, trial.user_attrs.get("baseline")
        outside = baseline is not None and self.space.baselines[baseline].compare_only
        drawn = {} if outside else self.space.draw(trial)
        # Baselines share the seed, as in seed report 001: they differ in their settings alone.
        seed = self.options.seed if baseline else draw_seed(self.options.seed, number)
        config = self.space.config(drawn, seed=seed, max_epochs=self.options.max_epochs, baseline=baseline)
        kind = self.clock.draw(number, config, len(before)).kind
        waits = bounded_heads and not QUEUED & trial.user_attrs.keys() and self.head_count.is_enough(kind)
        if waits or not self.clock.allows(number):
            return None
        self.head_count.begin(number, kind, baseline=baseline is not None)
        self.clock.begin(number, [epoch.seconds for epoch in before])
        self.running[number] = trial
        folder = self.run.trial(number)
        folder.write_json(folder.CONFIG, config.to_dict())
        self.file.send()
        self.observer.trial_started(number, baseline, config)
        return StartedTrial(number, baseline, self.limit.until())

    def epoch(self, number: int, result: StepResult) -> None:
        """Note an epoch of a trial; one that failed is left out."""
        if result.objective is None:
            return
        self.clock.note_epoch(number, result)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.running[number].report(result.objective, result.epoch)
        self.file.write()
        self.observer.trial_epoch(number, result)
        if time.monotonic() - self._saved > STATE_EVERY_S:
            self.save_state()

    def lacks_time(self, number: int, result: StepResult) -> bool:
        """Return whether a trial that has just done an epoch is to be stopped: its next one would end too late.

        So is one that would not have begun, had it been known how long an epoch takes; a baseline goes on.

        Raises:
            RunError: the time is so short that no trial has reached its first rung; they can be resumed.
        """
        if result.done or result.objective is None:
            return False
        searched = "baseline" not in self.running[number].user_attrs
        return self.clock.stops(number, result, searched=searched, any_usable=self._any_usable())

    def _any_usable(self) -> bool:
        return bool(usable(self.records.values()))

    def end(self, number: int, result: StepResult | None, *, worker_died: bool = False) -> None:
        """Write how a trial ended, after its last epoch was noted.

        `result` is that of its last epoch, None where there was none or the worker died. A trial is stopped where
        neither its last epoch nor a failure ended it. One whose first epoch was cut short is held back. One that
        was cut short while there is time goes on: its worker's clock is ahead, or the machine was asleep.

        Raises:
            RunError: the time is so short that no trial has reached its first rung; they can be resumed.
        """
        if result is not None and result.cut_short:
            over = self.clock.note_cut(number, result, any_usable=self._any_usable())
            if over:
                self.ended_by = self.ended_by or TIME
            if not self.clock.running[number].done:
                self._hold_back(number)
                return
            if not over:
                self._put_back(number)
                return
        trial = self.running.pop(number)
        self.clock.running.pop(number, None)
        reason = result.reason if result else None
        if worker_died:
            reason = self.death_reasons.get(number, "its worker process died")
        ended_by = result.ended_by if result else None
        state = FAILED if reason else FINISHED if ended_by not in (None, TIME) else STOPPED
        stopped_by = TIME if number in self.clock.out_of_time else "asha"
        record = self.run.trial(number).make_record(
            number,
            state,
            baseline=trial.user_attrs.get("baseline"),
            reason=reason,
            ended_by={FINISHED: ended_by, STOPPED: stopped_by, FAILED: None}[state],
            traceback=result.traceback if result else None,
            worker_died=worker_died,
        )
        self.run.trial(number).write_record(record)
        self.records[number] = record
        self.kept_weights.take(record)
        if record.reason:
            trial.set_user_attr("reason", record.reason)
        self._tell_study(record)
        self.file.send()
        self.observer.trial_ended(record)
        self.end_when_flat()
        bounded = self.limit.hours is not None or self.ended_by is not None
        if bounded or time.monotonic() - self._saved > UNBOUNDED_STATE_EVERY_S:
            self.save_state()
        if time.monotonic() > self._leaderboard_due:
            self.write_leaderboard()

    def _hold_back(self, number: int) -> None:
        """Let a running trial that has done no epoch wait until there is time for it."""
        del self.running[number]
        self.clock.hold_back(number)
        self.run.trial(number).discard()
        self.held_back.append(self.study.get_trials(deepcopy=False)[number])
        self.observer.trial_waits(number)

    def _put_back(self, number: int) -> None:
        """Let a running trial go on from its checkpoint as the next one that starts."""
        del self.running[number]
        self.clock.hold_back(number)
        self.unfinished.append(self.study.get_trials(deepcopy=False)[number])
        self.observer.trial_waits(number)

    def check_any_begun(self) -> None:
        """Check that a trial has begun, in a search whose time is over; one without any can go on with more.

        Raises:
            TooShortError: none was expected to reach its first rung in time.
        """
        if self.ended_by == TIME and not self.limit.times.kinds:
            self.ended_by = None
            self.clock.refuse_all()

    def not_begun(self) -> tuple[str, ...]:
        """Return the names of the baselines that have not begun, as there was no time, once it has ended."""
        if not self.ended_by:
            return ()
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING, TrialState.RUNNING))
        return tuple(trial.user_attrs["baseline"] for trial in trials if "baseline" in trial.user_attrs)

    def end_when_flat(self) -> None:
        """Draw no more trials where they are unlikely to help, if that was asked for."""
        if self.options.stop_when_flat and self.ended_by is None:
            records = [self.records[number] for number in sorted(self.records)]
            if is_flat(records, self.space.mode, self.standard_error):
                self.ended_by = FLAT

    def save_state(self) -> None:
        """Write search.json: the time that is used, and why the search has ended if it has."""
        state = SearchState(round(self.limit.used(), 3), self.ended_by)
        self.run.write_json(self.run.STATE, state.to_dict())
        self._saved = time.monotonic()

    def write_leaderboard(self) -> None:
        """Write leaderboard.csv of the trials that have ended so far."""
        began = time.monotonic()
        ranked = rank(self.records.values(), self.space.mode)
        self.run.write(self.run.LEADERBOARD, to_csv(ranked, self.space.metric).encode())
        now = time.monotonic()
        self._leaderboard_due = now + max(LEADERBOARD_EVERY_S, (now - began) / LEADERBOARD_SHARE)

    def _tell_study(self, record: TrialRecord) -> None:
        value = record.objective if record.state == FINISHED else None  # a stopped trial's is its last report
        self.study.tell(record.number, value, state=OPTUNA_STATES[record.state])


def _settled(folder: TrialDir) -> StepResult:
    """Return the last epoch of a trial that does not go on, its files brought to the state of its checkpoint.

    It has failed where they are damaged.
    """
    from medray.cluster.best_files import settle  # imports torch

    try:
        settle(folder)
    except MedrayError as error:
        return StepResult(len(folder.epochs()) + 1, None, FAILED, reason=one_line(error))
    last = folder.epochs()[-1]
    return StepResult(last.epoch, last.objective, last.ended_by)
