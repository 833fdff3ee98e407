"""Run the trials of a search that are left, by Ray Tune or in this process."""

import signal
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from medray.cluster.capacity import Capacity
from medray.data.dataset import ImageDataset
from medray.runs.run_facts import ResolvedOptions
from medray.runs.rundir import RunDir
from medray.search.asha import Rungs
from medray.search.print_introduction import print_introduction
from medray.search.run_tune import run_tune
from medray.search.search_gain import standard_error
from medray.search.search_progress import SearchProgress
from medray.search.time_limit import TimeLimit
from medray.signals import ends_like_ctrl_c
from medray.space.search_space import SearchSpace

if TYPE_CHECKING:
    from medray.search.ledger import Ledger


def run_trials(
    run: RunDir, space: SearchSpace, resolved: ResolvedOptions, dataset: ImageDataset, capacity: Capacity | None,
    console: Console, *, verbose: bool, title: str = "", started: float | None = None,
) -> "Ledger":  # fmt: skip
    """Run all trials of the search in `run` that have not ended, and return its ledger.

    Trains on the splits train and val of `dataset`, in this process where there is no `capacity` of a Ray cluster.
    Ctrl-C ends it early: the ledger has trials left then. `title` names one of several searches in its progress;
    without it, what is searched, and where, is printed first. The search's time counts from `started`, by
    `time.monotonic`, or from now.

    Raises:
        TooShortError: the time was too short for any trial.
    """
    # These import Optuna: not before the options are known to be right.
    from medray.search.embed_ahead import embed_ahead
    from medray.search.enqueue import enqueue_baselines, enqueue_portfolio, enqueue_warm_starts
    from medray.search.ledger import Ledger
    from medray.search.optuna_study import StudyFile

    state = run.read_state()
    slots = capacity.slots if capacity else 1
    at_once = min(slots, resolved.concurrency or slots)
    limit = TimeLimit(resolved.hours, state.seconds, trials_at_once=at_once, started=started)
    progress = SearchProgress(console, space.metric, resolved.trials, title, limit)
    file, val = StudyFile(run), dataset.split("val")
    groups = dataset.answered_groups(val.positions)
    error = partial(standard_error, run, space.metric, groups, dataset.case_rule)
    ledger = Ledger(run, space, resolved, file, file.open(space.mode), progress, limit, error)
    ledger.ended_by = state.ended_by
    enqueue_baselines(ledger.study, space, resolved)
    enqueue_portfolio(ledger.study, space, resolved)
    enqueue_warm_starts(ledger.study, ledger.warm_start, resolved)
    ledger.reconcile()
    ledger.end_when_flat()
    progress.begin(list(ledger.records.values()), slots)
    if not title:
        print_introduction(console, ledger, resolved, dataset, capacity)
    if ledger.left():
        rungs = Rungs(space.budget, resolved.max_epochs, space.mode)
        rungs.replay(ledger.epochs_reported())
        with ends_like_ctrl_c(signal.SIGTERM):
            if capacity is None or capacity.started_here:  # this machine's cache is the workers'
                gpu = (capacity.resources if capacity else space.resources).gpu > 0
                cores = capacity.resources.cpu if capacity else None
                try:
                    embed_ahead(space, ledger.study, resolved, dataset, limit, console, gpu=gpu, trial_cores=cores)
                except KeyboardInterrupt:
                    ledger.save_state()
                    return ledger
        with ends_like_ctrl_c(signal.SIGTERM), progress.showing():
            try:
                if capacity is None:
                    from medray.search.run_local import run_local

                    run_local(ledger, dataset, rungs)
                else:
                    run_tune(ledger, dataset, rungs, capacity, resolved.concurrency, verbose=verbose)
                ledger.check_any_begun()
            finally:
                ledger.save_state()
    ledger.write_leaderboard()
    return ledger
