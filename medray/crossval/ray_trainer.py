"""Ray Train around fit(): each worker takes one fold after another, with fresh weights for each.

There is one trainer for all of them, as each costs ten seconds to start; another goes on only where it has given
up. Its workers do not wait for one another: a fold's files reach the run's folder one by one, as a trial's do, and
not through `ray.train.report`, which would hold every worker until the slowest fold has done its epoch.
"""

import os
from collections.abc import Callable
from typing import Any

from medray.cluster.capacity import Capacity
from medray.crossval.jobs import WORKER_DEATHS
from medray.crossval.restarts import Restarts, free_cores
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.runs.rundir import RunDir
from medray.runs.trial_record import TrialRecord
from medray.space.search_space import Resources

#: Turns off what our folds do not need of Ray Train, each in a process of its own that imports Ray.
TRAIN_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # by default (2 s) a run takes seconds longer
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # the queue looks itself: its signal is a barrier across the folds
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
#: Callbacks of Ray Train that harm our folds.
OMITTED_CALLBACKS = (
    # Should free the cores of a controller that has died. It asks the newest Ray on this machine, which may be
    # another one that knows no such controller, and then frees them under our workers.
    "PlacementGroupCleanerCallback",
    "DatasetsCallback",  # brings Ray Data into every worker, and a process of its own
)


def run_trainers(
    run: RunDir, dataset: ImageDataset, folds: Folds, metric: str, capacity: Capacity, workers: int, queue: Any,
    jobs: int, report: Callable[[str], None],
) -> None:  # fmt: skip
    """Train until the queue is empty or stopped; blocks.

    So many `workers` run side by side, or fewer once there is less room; `report` gets a line then.

    Raises:
        ray.train.TrainingFailedError: workers die again and again without an epoch between, or Ray Train can't go
            on for another reason.
        ray.exceptions.RayActorError: so does its controller.
    """
    import ray
    from ray.exceptions import RayActorError
    from ray.train import TrainingFailedError

    config = {
        "dataset": [ray.put(dataset if capacity.started_here else dataset.unmapped())],
        "folds": [ray.put(folds)],
        "queue": queue,
        "run": run,
        "metric": metric,
        "resources": capacity.resources,
    }
    restarts = Restarts(capacity.resources, workers, report)
    while True:
        failure: TrainingFailedError | RayActorError | None = None
        try:
            failures = (WORKER_DEATHS + 1) * jobs
            _trainer(config, run, capacity.resources, restarts.workers, max_failures=failures).fit()
        except (TrainingFailedError, RayActorError) as error:
            free_cores()
            failure = error
        left, epochs = ray.get(queue.progress.remote())
        if not left:
            break  # it may have failed as it ended
        if failure is None:
            restarts.after_notice(left)
        elif not restarts.after(failure, left, epochs):
            raise failure
        ray.get(queue.release.remote())


def _trainer(config: dict[str, Any], run: RunDir, resources: Resources, workers: int, *, max_failures: int) -> Any:
    for name, value in TRAIN_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from ray.train import FailureConfig, RunConfig, ScalingConfig

    # TorchTrainer is this with a process group, which our workers would not use; without it the controller need
    # not import torch.
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    class Trainer(DataParallelTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            callbacks: list[Any] = super()._create_default_callbacks()
            return [callback for callback in callbacks if type(callback).__name__ not in OMITTED_CALLBACKS]

    return Trainer(
        _worker_loop,
        train_loop_config=config,
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=resources.gpu > 0,
            resources_per_worker={"CPU": resources.cpu} | ({"GPU": resources.gpu} if resources.gpu else {}),
        ),
        run_config=RunConfig(
            name=f"start-{len(run.crossval.child('train').names())}",
            storage_path=run.crossval.child("train").location,
            failure_config=FailureConfig(max_failures=max_failures, controller_failure_limit=0),
        ),
    )


def _worker_loop(config: dict[str, Any]) -> None:
    import ray
    import ray.train
    from ray.train.torch import get_device

    from medray.cluster.trial_worker import Worker
    from medray.cluster.worker_group import WorkerGroup
    from medray.crossval.train_one_fold import give_up_fold, train_fold

    rank = ray.train.get_context().get_world_rank()
    dataset, folds = ray.get(config["dataset"][0]), ray.get(config["folds"][0])
    queue, run, resources = config["queue"], config["run"], config["resources"]
    worker: Worker | WorkerGroup
    if resources.workers > 1:
        worker = WorkerGroup(config["dataset"], resources)
    else:
        worker = Worker(max(1, int(resources.cpu)), str(get_device()))
    job, deaths = ray.get(queue.begin.remote(rank, ray.get_runtime_context().get_node_id()))
    while job is not None:
        if deaths > WORKER_DEATHS:
            record: TrialRecord | None = give_up_fold(run, job, deaths)
        else:
            record = train_fold(
                worker, run, job, dataset, folds, config["metric"],
                lambda result: bool(ray.get(queue.epoch.remote(rank, result))),
            )  # fmt: skip
        if record is None:
            return  # stopped, or a node is about to go; its checkpoint is written
        ray.get(queue.ended.remote(rank, record))
        job, deaths = ray.get(queue.next.remote(rank)), 0
