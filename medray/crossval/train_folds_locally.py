"""The local runner of a cross-validation: folds one after another in this process, without Ray."""

import contextlib
from collections.abc import Sequence

from medray.cluster.step_result import StepResult
from medray.crossval.crossval_progress import CrossvalProgress
from medray.crossval.jobs import Job, JobEnded, JobEpoch, JobStarted
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.runs.finished_search import FinishedSearch


def train_folds_locally(
    search: FinishedSearch, dataset: ImageDataset, folds: Folds, jobs: Sequence[Job], progress: CrossvalProgress
) -> None:
    """Train one fold after another; Ctrl-C ends it early, and the epoch at hand is done again on resume."""
    from medray.cluster.trial_worker import local_worker
    from medray.crossval.train_one_fold import train_fold

    run, space = search.run, search.space
    with contextlib.suppress(KeyboardInterrupt), local_worker(space.resources) as worker:
        for job in jobs:

            def report(result: StepResult, job: Job = job) -> bool:
                progress.update([JobEpoch(job, result)])
                return True  # go on

            progress.update([JobStarted(job)])
            record = train_fold(worker, run, job, dataset, folds, space.metric, report)
            if record is not None:
                progress.update([JobEnded(job, record)])
