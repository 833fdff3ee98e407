"""What drawing and recording a trial costs the driver once a search has thousands of trials, without Ray.

The real ledger, study, journal and files; no trial is trained, and all but the last are put into the study at
once. Then trials are drawn and ended one after another, each of one epoch, and their processor time is taken.
With a time limit the ledger also reckons with the times of all epochs. Besides, what a frame of the live table
takes with 512 trials running.

    uv run python benchmarks/many_trials.py [--before 400 5000] [--trials 40]
"""

import argparse
import io
import os
import statistics
import tempfile
import time

import numpy as np
import optuna
from optuna.trial import create_trial
from rich.console import Console
from scaling import SPACE

from medray.cluster.step_result import StepResult
from medray.config import TrainConfig
from medray.runs.run_facts import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.runs.trial_record import EpochRecord, TrialRecord
from medray.search.ledger import Ledger
from medray.search.optuna_study import StudyFile
from medray.search.search_progress import SearchProgress
from medray.search.time_limit import TimeLimit, TrialKind
from medray.search.warm_start import distribution
from medray.space.loading import parse

EPOCH_S, RUNNING = 0.01, 512


def grown_ledger(folder: str, before: int, trials: int, hours: float | None) -> Ledger:
    """Return the ledger of a search in which `before` trials have ended and `trials` are left."""
    run, space = RunDir(folder), parse(SPACE.format(trials=before + trials, epochs=1, grace=1000), "space.yaml")
    options = ResolvedOptions("phantom", before + trials, 1, 1000, 0, None, False, hours, False)
    file, limit = StudyFile(run), TimeLimit(hours)
    console = Console(file=io.StringIO(), width=120, height=50, force_terminal=True)
    progress = SearchProgress(console, space.metric, options.trials, limit=limit)
    progress.is_live = True
    ledger = Ledger(run, space, options, file, file.open(space.mode), progress, limit, lambda _: 0.04)
    every = {parameter.label: distribution(parameter) for parameter in space.parameters}
    some = {parameter.label: every[parameter.label] for parameter in space.parameters if not parameter.when}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rng, settings = np.random.default_rng(0), TrainConfig().to_dict()
    for number in range(before):
        distributions = some if number % 3 else every  # a third has the setting that depends on another
        params, value = study.ask(distributions).params, float(rng.random())
        ledger.study.add_trial(create_trial(value=value, params=params, distributions=distributions))
        record = TrialRecord(number, "finished", objective=value, best_epoch=1, epochs=1, settings=settings)
        ledger.records[number] = record
        progress.trial_ended(record)
        limit.times.begin(number, TrialKind("lenet5"), [EPOCH_S])
    file.write()
    return ledger


def trial_ms(ledger: Ledger) -> float:
    """Draw and end all trials that are left; return the median of their processor time, in milliseconds."""
    taken, rng = [], np.random.default_rng(1)
    while ledger.left() and (trial := ledger.start_next()):
        value = float(rng.random())
        ledger.run.trial(trial.number).write_epochs(
            [EpochRecord(1, value, 1.0, 0.1, EPOCH_S, {}, 1, {"accuracy": value}, 9, "epochs")]
        )
        result = StepResult(1, value, "epochs", seconds=EPOCH_S)
        ledger.epoch(trial.number, result)
        ledger.end(trial.number, result)
        taken.append(time.process_time())
    return 1000 * statistics.median(np.diff(taken))


def frame_ms(ledger: Ledger) -> float:
    """Return the median processor time of a frame of the live table with `RUNNING` trials, in milliseconds."""
    progress, taken = ledger.observer, []
    assert isinstance(progress, SearchProgress)
    for number in range(RUNNING):
        progress.trial_started(len(ledger.records) + number, None, TrainConfig())
    for _ in range(5):
        began = time.process_time()
        progress.console.print(progress.table())
        taken.append(time.process_time() - began)
    return 1000 * statistics.median(taken)


def main() -> None:
    """Measure with and without a time limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=int, nargs="+", default=[400, 5000], help="trials that have ended")
    parser.add_argument("--trials", type=int, default=40, help="trials that are measured")
    given = parser.parse_args()
    for before in given.before:
        for hours in (None, 100.0):
            with tempfile.TemporaryDirectory() as folder:
                ledger = grown_ledger(folder, before, given.trials, hours)
                limited = f" with a limit of {hours:g} hours" if hours else ""
                print(f"after {before:,} trials{limited}: {trial_ms(ledger):.1f} ms a trial", end="", flush=True)
                print(f"; a frame of the table with {RUNNING} running: {frame_ms(ledger):.0f} ms")
    print(f"load averages {', '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main()
