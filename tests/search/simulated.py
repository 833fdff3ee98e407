"""A search whose trials take the time that a test gives them: the real ledger and study, no network."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from medray.cluster.step_result import StepResult
from medray.runs.run_facts import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.runs.trial_record import TIME, EpochRecord
from medray.search.enqueue import enqueue_baselines
from medray.search.ledger import Ledger
from medray.search.optuna_study import StudyFile
from medray.search.search_progress import SearchProgress
from medray.search.time_limit import TimeLimit
from medray.space.loading import parse
from medray.training.deadline import LEAST_S

SPACE = """
name: timed
data: phantom
objective: {metric: auc}
budget: {trials: 50, max_epochs: %d, grace_epochs: %d, reduction_factor: 2, patience: null}
space:
  backbone: {choice: [lenet5, resnet8_small, cnn5]}
  dropout: {uniform: [0.0, 0.5]}
baselines:
  plain: {backbone: lenet5, dropout: 0.0}
"""


@dataclass
class Clock:
    """A clock that goes on only when it is told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def ledger_in(
    folder: Path, clock: Clock, hours: float | None, *, trials: int | None = None, epochs: int = 6, grace: int = 2,
    stop_when_flat: bool = False, text: str = SPACE,
) -> Ledger:  # fmt: skip
    """Open the search in `folder`, or begin it there, as `run_trials` does; `text` is the space."""
    run, space = RunDir(str(folder)), parse(text % (epochs, grace), "timed.yaml")
    options = ResolvedOptions("phantom", trials, epochs, 2, 0, None, False, hours, stop_when_flat)
    file, state = StudyFile(run), run.read_state()
    ledger = Ledger(
        run, space, options, file, file.open(space.mode), SearchProgress(Console(file=io.StringIO()), "auc", trials),
        TimeLimit(hours, state.seconds, now=clock), lambda record: 0.04,
    )  # fmt: skip
    enqueue_baselines(ledger.study, space, options)
    ledger.reconcile()
    return ledger


def run_all(
    ledger: Ledger, clock: Clock, seconds: dict[str, float], objective: Callable[[int], float] = lambda number: 0.5
) -> None:
    """Run trials one after another as the local runner does, an epoch of a backbone in its `seconds`.

    An epoch that would go on after the search's time is cut short then, as a worker does.
    """
    while ledger.left() and (trial := ledger.start_next()):
        folder = ledger.run.trial(trial.number)
        settings, records = folder.read_json(folder.CONFIG), folder.epochs()
        ended = False
        while not ended:
            took, left = seconds[settings["backbone"]], max(ledger.limit.left(), LEAST_S)
            clock.now += min(took, left)
            if took > left:
                ledger.end(trial.number, StepResult(len(records) + 1, None, TIME, seconds=took))
                break
            epoch, value = len(records) + 1, objective(trial.number)
            last = "epochs" if epoch == settings["epochs"] else None
            records.append(EpochRecord(epoch, value, 1.0, 0.1, took, {}, 1, {"auc": value}, 9, last))
            folder.write_epochs(records)
            result = StepResult(epoch, value, last, seconds=took)
            stopped = ledger.lacks_time(trial.number, result)
            ledger.epoch(trial.number, result)
            ended = stopped or result.done
        else:
            ledger.end(trial.number, result)
