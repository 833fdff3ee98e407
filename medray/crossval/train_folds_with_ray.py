"""The Ray runner of a cross-validation: Ray Train in a thread, and its workers' reports, read from the queue."""

import functools
import signal
import threading
import time
from typing import Any

from rich.console import Console

from medray.cluster.capacity import find_capacity, wait_for_gpus
from medray.cluster.leaving import LeavingNodes
from medray.cluster.ray_errors import failure_line
from medray.console import say, step
from medray.crossval.crossval_progress import CrossvalProgress
from medray.crossval.jobs import Job, JobQueue
from medray.crossval.plan import CrossvalOptions, resume_command
from medray.crossval.ray_trainer import run_trainers
from medray.crossval.restarts import controller_error, free_cores
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.errors import MedrayError
from medray.runs.finished_search import FinishedSearch
from medray.signals import ends_like_ctrl_c

POLL_S = 0.3


def train_folds_with_ray(
    options: CrossvalOptions, searched: FinishedSearch, dataset: ImageDataset, folds: Folds, jobs: list[Job],
    console: Console, progress: CrossvalProgress, *, started_here: bool,
) -> None:  # fmt: skip
    """Train as many folds side by side as there is room for; Ctrl-C lets the present epochs end.

    Raises:
        MedrayError: Ray Train gave up; what was done is kept.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    space = searched.space
    if options.min_gpus:
        with step(console, f"Waiting for {options.min_gpus} GPUs") as gpu_progress:
            wait_for_gpus(options.min_gpus, gpu_progress)
    capacity = find_capacity(space.resources, space.path, started_here=started_here)
    workers = max(1, min(capacity.slots, len(jobs), options.concurrency or capacity.slots))
    say(console, f"{capacity.describe('folds')}; results go to {searched.run.crossval.location}")
    # On this node, as others may go.
    this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = ray.remote(num_cpus=0, scheduling_strategy=this_node)(JobQueue).remote(jobs, LeavingNodes())
    failure: list[BaseException] = []

    def train() -> None:
        try:
            report = functools.partial(say, console)
            run_trainers(
                searched.run, dataset, folds, space.metric, capacity, workers, queue, len(jobs), report
            )  # fmt: skip
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=train, daemon=True)
    with ends_like_ctrl_c(signal.SIGTERM), progress.showing():
        thread.start()
        show_events(queue, thread, progress)
    if failure:
        reason = failure_line(controller_error(failure[0]))
        raise MedrayError(f"Ray Train gave up: {reason}; go on with: {resume_command(options)}")


def show_events(queue: Any, thread: threading.Thread, progress: CrossvalProgress) -> None:
    """Show what happens to the jobs of the `queue` until the `thread` has ended; Ctrl-C stops the queue."""
    import ray

    count = 0
    while True:
        try:
            alive = thread.is_alive()
            events = ray.get(queue.events_after.remote(count))
            count += len(events)
            progress.update(events)
            if not alive:
                break
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            if not ray.get(queue.stop.remote()):
                free_cores()  # or Ray may keep them for workers that come after this command has gone
                break  # those are not waited for
