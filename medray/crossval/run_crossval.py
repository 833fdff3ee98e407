"""A cross-validation from its options to its results.

plan      the best settings of a finished search, the folds and each fold's settings, written once
train     Ray Train's workers take one fold after another until none is left
collect   out-of-fold predictions, scores, and images whose label the folds doubt
"""

import contextlib
import functools
import shlex
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from medray.cluster import connect
from medray.cluster.runners import LOCAL, LOCAL_LINE, RAY, check_runner
from medray.console import say, step
from medray.crossval.collect import collect, label_issues
from medray.crossval.crossval_progress import CrossvalProgress
from medray.crossval.jobs import Job, JobQueue
from medray.crossval.plan import CrossvalOptions, jobs_left, make_plan, plan_folds, retry_lost, write_plan
from medray.crossval.restarts import cause
from medray.crossval.train_folds import train_folds
from medray.crossval.train_folds_locally import train_folds_locally
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.errors import MedrayError, RunError
from medray.runs.documents import CrossvalPlan
from medray.runs.finished_search import FinishedSearch, open_finished_search
from medray.runs.fold_results import FoldedSetting
from medray.runs.lock import held
from medray.signals import ends_like_ctrl_c
from medray.stats.label_issues import LabelIssue

LISTEN_S = 0.3


@dataclass(frozen=True)
class CrossvalResult:
    """What a cross-validation left behind: whole settings, best first, and why others are not whole."""

    searched: FinishedSearch
    folds: Folds
    settings: list[FoldedSetting]
    unfinished: dict[int, str]
    issues: list[LabelIssue]
    left: int
    resume_command: str


def run_crossval(options: CrossvalOptions, console: Console) -> CrossvalResult:
    """Run or resume a cross-validation; progress goes to `console`.

    Raises:
        MedrayError: something a person can mend is wrong; nothing that was done is lost.
    """
    check_runner(options)
    searched = open_finished_search(options.run)
    with held(searched.run, console), contextlib.ExitStack() as until_the_end:
        try:
            plan = make_plan(options, searched)
            doing = "Loading" if options.runner == LOCAL else "Starting Ray and loading"
            with step(console, f"{doing} {options.data or searched.options.data}") as told:
                dataset = searched.load_data(options.data, told)
                folds = plan_folds(searched, dataset, plan, told)
                write_plan(searched, plan, folds)
                retry_lost(searched, plan, folds)
                jobs = jobs_left(searched, plan, folds)
                if jobs and options.runner == RAY:
                    own = until_the_end.enter_context(connect.connected(options.address, verbose=options.verbose))
            _introduce(console, plan, folds, jobs)
            total = len(plan.trials) * len(folds)
            progress = CrossvalProgress(console, searched.space.metric, total, total - len(jobs))
            if jobs and options.runner == LOCAL:
                say(console, f"{LOCAL_LINE}; results go to {searched.run.crossval.location}")
                with ends_like_ctrl_c(signal.SIGTERM), progress.showing():
                    train_folds_locally(searched, dataset, folds, jobs, progress)
            elif jobs:
                _train(options, searched, dataset, folds, jobs, own, console, progress)
            with step(console, "Putting the folds together"):
                settings, unfinished = collect(searched.run, dataset, folds, plan.trials)
                issues = label_issues(searched.run, dataset, settings) if settings else []
            left = len(jobs_left(searched, plan, folds))
            return CrossvalResult(searched, folds, settings, unfinished, issues, left, resume_command(options))
        except OSError as error:
            raise RunError(
                f"{searched.run.location}: {error.strerror or error}; go on with: {resume_command(options)}"
            ) from error


def resume_command(options: CrossvalOptions) -> str:
    """The command that goes on with this cross-validation."""
    local = " --local" if options.runner == LOCAL else ""
    return f"medray crossval {shlex.quote(options.run)} --resume{local}"


def _introduce(console: Console, plan: CrossvalPlan, folds: Folds, jobs: Sequence[Job]) -> None:
    kind = {"grouped": "stratified, no patient and no copy on both sides", "given": "the data set's own"}
    say(
        console,
        f"{len(plan.trials)} settings × {len(folds)} folds ({kind.get(folds.kind, folds.kind)}) of "
        f"{len(folds.held_out)} training and validation images; the test split is not used",
    )
    total = len(plan.trials) * len(folds)
    if len(jobs) < total:
        say(console, f"Resuming: {total - len(jobs)} of {total} folds have ended")


def _train(
    options: CrossvalOptions, searched: FinishedSearch, dataset: ImageDataset, folds: Folds, jobs: list[Job],
    own: bool, console: Console, progress: CrossvalProgress,
) -> None:  # fmt: skip
    """Run the trainer beside this thread, which listens to the queue; Ctrl-C lets the present epochs end."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    space = searched.space
    if options.min_gpus:
        with step(console, f"Waiting for {options.min_gpus} GPUs") as told:
            connect.wait_for_gpus(options.min_gpus, told)
    room = connect.find_room(space.resources, space.path, own=own)
    workers = max(1, min(room.slots, len(jobs), options.concurrency or room.slots))
    say(console, f"{room.words('folds')}; results go to {searched.run.crossval.location}")
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = ray.remote(num_cpus=0, scheduling_strategy=here)(JobQueue).remote(jobs)  # other nodes may go
    failure: list[BaseException] = []

    def train() -> None:
        try:
            told = functools.partial(say, console)
            train_folds(searched.run, dataset, folds, space.metric, room, workers, queue, len(jobs), told)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=train, daemon=True)
    with ends_like_ctrl_c(signal.SIGTERM), progress.showing():
        thread.start()
        heard = 0
        while True:
            try:
                alive = thread.is_alive()
                events = ray.get(queue.heard.remote(heard))
                heard += len(events)
                progress.hear(events)
                if not alive:
                    break
                time.sleep(LISTEN_S)
            except KeyboardInterrupt:
                if not ray.get(queue.stop.remote()):
                    break  # workers that are yet to come are not waited for
    if failure:
        why = connect.why_dead(cause(failure[0]))
        raise MedrayError(f"Ray Train gave up: {why}; go on with: {resume_command(options)}")
