"""RunStatus: what a run's files tell of how far it has come, while a command works in it or after."""

from dataclasses import asdict, dataclass
from typing import Any

from medray._types import Progress, silent
from medray.analyze.open_runs import RunSnapshot, open_runs
from medray.analyze.read_training import RUNNING, Training
from medray.ensemble.manifest import read_manifest
from medray.errors import RunError, one_line
from medray.evaluate.test_reads import stored_reads
from medray.runs.leaderboard import rank, usable
from medray.runs.lock import is_held
from medray.runs.rundir import MANIFEST, RunDir
from medray.runs.trial_record import FAILED, TrialRecord
from medray.search.time_limit import HOUR_S


@dataclass(frozen=True)
class RunningTraining:
    """A trial, or a fold of it: `epoch` of at most `epochs`, and its best objective so far."""

    trial: int
    fold: int | None
    epoch: int
    epochs: int | None
    objective: float | None


@dataclass(frozen=True)
class Amount:
    """How many trials or folds have ended, failed ones included; `total` is None where only time bounds them."""

    ended: int
    failed: int
    total: int | None


@dataclass(frozen=True)
class RunStatus:
    """How far a run has come.

    `working` says whether a command holds it now: what is `running` has else been broken off. `best` is the
    trial with the best objective on validation, None before the first epoch. `seconds` are those that the search
    has used, `seconds_left` what it is expected to take still, None where nothing says so. `folds` are None where
    there is no cross-validation, `reads` how often the test split was read.
    """

    location: str
    name: str
    working: bool
    metric: str
    trials: Amount
    search_ended: bool
    best: RunningTraining | None
    running: tuple[RunningTraining, ...]
    hours: float | None
    seconds: float
    seconds_left: float | None
    folds: Amount | None
    ensemble: str | None
    reads: int
    report: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)


def read_status(location: str, progress: Progress = silent) -> RunStatus:
    """Read how far the run at `location`, a path or a URI, has come; of an object store that takes seconds.

    Raises:
        RunError: there is no run, it is damaged, or it can't be reached.
    """
    (snapshot,) = open_runs([location], progress)
    run = snapshot.run
    try:
        state, working = run.read_state(), is_held(run)
        ensemble, reads = _ensemble(run), len(stored_reads(run))
        folds, report = _folds(snapshot), run.report.exists(run.REPORT)
    except OSError as error:
        raise RunError(f"{run.location} can't be read: {one_line(error)}") from None
    options, records = snapshot.facts.options, snapshot.records
    amount = _amount(records, options.trials)
    search_ended = state.ended_by is not None or (options.trials is not None and amount.ended >= options.trials)
    ranked = rank(usable(records), snapshot.mode)
    by_number = {training.record.number: training for training in snapshot.trials}
    return RunStatus(
        location=run.location,
        name=snapshot.name,
        working=working,
        metric=snapshot.metric,
        trials=amount,
        search_ended=search_ended,
        best=_running(by_number[ranked[0].number]) if ranked else None,
        running=tuple(_running(t) for t in (*snapshot.trials, *snapshot.folds) if t.record.state == RUNNING),
        hours=options.hours,
        seconds=state.seconds,
        seconds_left=None if search_ended else _seconds_left(amount, options.hours, state.seconds),
        folds=folds,
        ensemble=ensemble,
        reads=reads,
        report=report,
        notes=tuple(dict.fromkeys(snapshot.notes)),
    )


def _running(training: Training) -> RunningTraining:
    record = training.record
    epochs = record.settings.get("epochs")
    return RunningTraining(
        record.number, training.fold, record.epochs, None if epochs is None else int(epochs), record.objective
    )


def _seconds_left(trials: Amount, hours: float | None, used: float) -> float | None:
    """Return the smaller of the time that is left and what the trials that are left take at the rate so far."""
    left = [] if hours is None else [max(0.0, hours * HOUR_S - used)]
    if trials.total is not None and trials.ended and used:
        left.append((trials.total - trials.ended) * used / trials.ended)
    return min(left, default=None)


def _folds(snapshot: RunSnapshot) -> Amount | None:
    crossval = snapshot.run.crossval
    if not crossval.exists(crossval.PLAN):
        return None
    plan = crossval.read_plan()
    return _amount([fold.record for fold in snapshot.folds], len(plan.trials) * plan.folds if plan.folds else None)


def _amount(records: list[TrialRecord], total: int | None) -> Amount:
    ended = [record for record in records if record.state != RUNNING]
    return Amount(len(ended), sum(record.state == FAILED for record in ended), total)


def _ensemble(run: RunDir) -> str | None:
    """Return what the ensemble is made of, None where there is none."""
    if not run.ensemble.exists(MANIFEST):
        return None
    manifest = read_manifest(run.ensemble)
    calibrated = "not calibrated" if manifest.calibrated_on is None else f"calibrated on {manifest.calibrated_on}"
    return f"{manifest.summary}; {calibrated}"
