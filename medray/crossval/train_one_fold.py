"""The training of one fold, the same in a Ray worker and in this process."""

from collections.abc import Callable

from medray.cluster.step_result import StepResult
from medray.cluster.trial_worker import Worker
from medray.cluster.worker_group import WorkerGroup
from medray.crossval.jobs import Job
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED, FINISHED, TrialRecord


def train_fold(
    worker: Worker | WorkerGroup, run: RunDir, job: Job, dataset: ImageDataset, folds: Folds, metric: str,
    report: Callable[[StepResult], bool],
) -> TrialRecord | None:  # fmt: skip
    """Train one fold epoch by epoch, each given to `report`, and write how it ended.

    Returns None where `report` says not to go on; the fold's checkpoint is written then.
    """
    folder, fold = run.fold(job.trial, job.fold), folds.folds[job.fold]
    worker.open(folder, dataset.at(fold.train), dataset.at(fold.val), metric)
    while not (result := worker.step()).done:
        if not report(result):
            return None
    failed = result.reason is not None
    record = folder.make_record(
        job.trial,
        FAILED if failed else FINISHED,
        reason=result.reason,
        ended_by=None if failed else result.ended_by,
        traceback=result.traceback,
    )
    folder.write_record(record)
    return record


def give_up_fold(run: RunDir, job: Job, deaths: int) -> TrialRecord:
    """Write that a fold failed because so many worker processes in a row died on it."""
    folder = run.fold(job.trial, job.fold)
    reason = f"its worker process died {deaths} times before an epoch was done"
    record = folder.make_record(job.trial, FAILED, reason=reason, worker_died=True)
    folder.write_record(record)
    return record
