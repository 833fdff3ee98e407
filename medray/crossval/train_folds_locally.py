"""The local runner of a cross-validation: folds one after another in this process, without Ray."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

from medray.crossval.crossval_progress import CrossvalProgress
from medray.crossval.jobs import Event, Job
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.runs.finished_search import FinishedSearch


def train_folds_locally(
    searched: FinishedSearch, dataset: ImageDataset, folds: Folds, jobs: Sequence[Job], progress: CrossvalProgress
) -> None:
    """Train one fold after another; Ctrl-C ends it early, and the epoch at hand is done again on resume."""
    from medray.cluster.trial_worker import local_worker
    from medray.crossval.train_one_fold import train_fold

    run, space = searched.run, searched.space
    with contextlib.suppress(KeyboardInterrupt), local_worker(space.resources.cpu) as worker:
        for job in jobs:

            def report(result: dict[str, Any], job: Job = job) -> bool:
                progress.hear([Event("epoch", job, result)])
                return True

            progress.hear([Event("started", job, {})])
            record = train_fold(worker, run, job, dataset, folds, space.metric, report)
            if record is not None:
                progress.hear([Event("ended", job, dataclasses.asdict(record))])
