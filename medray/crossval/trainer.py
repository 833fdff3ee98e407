"""Ray Train around fit(): each worker takes one fold after another, with fresh weights for each.

There is one trainer for all of them, as each costs ten seconds to start. Its workers do not wait for one another:
what a fold leaves behind reaches the run's folder file by file, as a trial's does, and not through
`ray.train.report`, which would hold every worker until the slowest fold has done its epoch.
"""

import dataclasses
import os
from typing import Any

from medray.cluster import Room
from medray.crossval.jobs import LOST, WORKER_DEATHS, Job
from medray.data.dataset import ImageDataset
from medray.data.splits import Folds
from medray.runs import FAILED, FINISHED, RunDir, TrialDir

#: What Ray Train does besides, and our folds do not need, each in a process of its own that imports Ray.
LEAN = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # as it comes (2 s) a run costs seconds more
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # every epoch is on disk
    "RAY_TRAIN_METRICS_ENABLED": "0",
}


def train_folds(
    run: RunDir, dataset: ImageDataset, folds: Folds, metric: str, room: Room, workers: int, queue: Any, jobs: int
) -> None:
    """Train until the queue is empty or stopped; blocks.

    Raises:
        ray.train.TrainingFailedError: the workers can't be kept alive.
    """
    for name, value in LEAN.items():
        os.environ.setdefault(name, value)
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig

    # TorchTrainer is this with a process group, through which our workers would have nothing to say; without it
    # the controller need not import torch.
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    cpu, gpu = room.resources.cpu, room.resources.gpu
    needed = {"CPU": cpu, "GPU": gpu} if gpu else {"CPU": cpu}
    shared = {
        "dataset": [ray.put(dataset if room.own else dataset.whole())],
        "folds": [ray.put(folds)],
        "queue": queue,
        "run": run,
        "metric": metric,
    }
    trainer = DataParallelTrainer(
        _worker_loop,
        train_loop_config={**shared, "queue": queue, "run": run, "metric": metric, "threads": max(1, int(cpu))},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpu > 0, resources_per_worker=needed),
        run_config=RunConfig(
            name=f"start-{len(run.crossval.child('train').names())}",
            storage_path=run.crossval.child("train").location,
            failure_config=FailureConfig(max_failures=(WORKER_DEATHS + 1) * jobs),
        ),
    )
    trainer.fit()


def _worker_loop(config: dict[str, Any]) -> None:
    import ray
    import ray.train
    from ray.train.torch import get_device

    from medray.worker import Worker

    rank = ray.train.get_context().get_world_rank()
    dataset, folds = ray.get(config["dataset"][0]), ray.get(config["folds"][0])
    queue, run = config["queue"], config["run"]
    worker = Worker(config["threads"], str(get_device()))
    job, deaths = ray.get(queue.begin.remote(rank))
    while job is not None:
        folder = run.fold(job.trial, job.fold)
        fold = folds.folds[job.fold]
        if deaths > WORKER_DEATHS:
            told: dict[str, Any] = {"reason": f"{LOST} {deaths} times before an epoch was done"}
        else:
            worker.open(folder, dataset.at(fold.train), dataset.at(fold.val), config["metric"])
            told = worker.step()
            while not told["done"] and ray.get(queue.epoch.remote(rank, told)):
                told = worker.step()
            if not told["done"]:
                return  # stopped; its checkpoint is written
        ray.get(queue.ended.remote(rank, _end(folder, job, told)))
        job, deaths = ray.get(queue.next.remote(rank)), 0


def _end(folder: TrialDir, job: Job, told: dict[str, Any]) -> dict[str, Any]:
    """Write how a fold ended."""
    reason = told.get("reason")
    record = folder.summary(
        job.trial,
        FAILED if reason else FINISHED,
        reason=reason,
        ended_by=None if reason else told["ended_by"],
        traceback=told.get("traceback"),
    )
    folder.write_record(record)
    return dataclasses.asdict(record)
