"""Ray Train around fit(): each worker takes one fold after another, with fresh weights for each.

There is one trainer for all of them, as each costs ten seconds to start; another goes on only where it has given
up. Its workers do not wait for one another: what a fold leaves behind reaches the run's folder file by file, as a
trial's does, and not through `ray.train.report`, which would hold every worker until the slowest fold has done its
epoch.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from medray.cluster.connect import Room
from medray.crossval.jobs import LOST, WORKER_DEATHS
from medray.crossval.restarts import Restarts, free_cores
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.runs.rundir import RunDir
from medray.space.search_space import Resources

#: What Ray Train does besides, and our folds do not need, each in a process of its own that imports Ray.
LEAN = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # as it comes (2 s) a run costs seconds more
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # every epoch is on disk
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
#: Callbacks of Ray Train that our folds are better off without.
LEFT_OUT = (
    # Should free the cores of a controller that has died. It asks the newest Ray on this machine, which may be
    # another one that knows no such controller, and then frees them under our workers.
    "PlacementGroupCleanerCallback",
    "DatasetsCallback",  # brings Ray Data into every worker, and a process of its own
)


def train_folds(
    run: RunDir, dataset: ImageDataset, folds: Folds, metric: str, room: Room, workers: int, queue: Any, jobs: int,
    told: Callable[[str], None],
) -> None:  # fmt: skip
    """Train until the queue is empty or stopped; blocks.

    So many `workers` run side by side, or fewer where there is no longer room for so many, which `told` hears.

    Raises:
        ray.train.TrainingFailedError: workers die again and again without an epoch between, or Ray Train can't go
            on for another reason.
        ray.exceptions.RayActorError: so does its controller.
    """
    import ray
    from ray.exceptions import RayActorError
    from ray.train import TrainingFailedError

    config = {
        "dataset": [ray.put(dataset if room.own else dataset.unmapped())],
        "folds": [ray.put(folds)],
        "queue": queue,
        "run": run,
        "metric": metric,
        "threads": max(1, int(room.resources.cpu)),
    }
    restarts = Restarts(room.resources, workers, told)
    while True:
        try:
            _trainer(config, run, room.resources, restarts.workers, failures=(WORKER_DEATHS + 1) * jobs).fit()
            break
        except (TrainingFailedError, RayActorError) as error:
            free_cores()
            left, epochs = ray.get(queue.progress.remote())
            if not left:
                break  # it failed as it ended
            if not restarts.after(error, left, epochs):
                raise
            ray.get(queue.release.remote())


def _trainer(config: dict[str, Any], run: RunDir, wanted: Resources, workers: int, *, failures: int) -> Any:
    for name, value in LEAN.items():
        os.environ.setdefault(name, value)
    from ray.train import FailureConfig, RunConfig, ScalingConfig

    # TorchTrainer is this with a process group, through which our workers would have nothing to say; without it
    # the controller need not import torch.
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    class Trainer(DataParallelTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            return [one for one in super()._create_default_callbacks() if type(one).__name__ not in LEFT_OUT]

    return Trainer(
        _worker_loop,
        train_loop_config=config,
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=wanted.gpu > 0,
            resources_per_worker={"CPU": wanted.cpu} | ({"GPU": wanted.gpu} if wanted.gpu else {}),
        ),
        run_config=RunConfig(
            name=f"start-{len(run.crossval.child('train').names())}",
            storage_path=run.crossval.child("train").location,
            failure_config=FailureConfig(max_failures=failures, controller_failure_limit=0),
        ),
    )


def _worker_loop(config: dict[str, Any]) -> None:
    import ray
    import ray.train
    from ray.train.torch import get_device

    from medray.cluster.trial_worker import Worker
    from medray.crossval.train_one_fold import end_fold, train_fold

    rank = ray.train.get_context().get_world_rank()
    dataset, folds = ray.get(config["dataset"][0]), ray.get(config["folds"][0])
    queue, run = config["queue"], config["run"]
    worker = Worker(config["threads"], str(get_device()))
    job, deaths = ray.get(queue.begin.remote(rank))
    while job is not None:
        if deaths > WORKER_DEATHS:
            reason = f"{LOST} {deaths} times before an epoch was done"
            record = end_fold(run.fold(job.trial, job.fold), job, {"reason": reason})
        else:
            ended = train_fold(
                worker, run, job, dataset, folds, config["metric"],
                lambda result: bool(ray.get(queue.epoch.remote(rank, result))),
            )  # fmt: skip
            if ended is None:
                return  # stopped; its checkpoint is written
            record = ended
        ray.get(queue.ended.remote(rank, dataclasses.asdict(record)))
        job, deaths = ray.get(queue.next.remote(rank)), 0
