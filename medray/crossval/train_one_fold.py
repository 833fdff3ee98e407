"""The training of one fold, the same in a Ray worker and in this process."""

from collections.abc import Callable
from typing import Any

from medray.cluster.trial_worker import Worker
from medray.crossval.jobs import Job
from medray.data.dataset import ImageDataset
from medray.data.folds import Folds
from medray.runs.documents import FAILED, FINISHED, TrialRecord
from medray.runs.rundir import RunDir, TrialDir


def train_fold(
    worker: Worker, run: RunDir, job: Job, dataset: ImageDataset, folds: Folds, metric: str,
    report: Callable[[dict[str, Any]], bool],
) -> TrialRecord | None:  # fmt: skip
    """Train one fold epoch by epoch, each given to `report`, and write how it ended.

    Returns None where `report` says not to go on; the fold's checkpoint is written then.
    """
    folder, fold = run.fold(job.trial, job.fold), folds.folds[job.fold]
    worker.open(folder, dataset.at(fold.train), dataset.at(fold.val), metric)
    result = worker.step()
    while not result["done"]:
        if not report(result):
            return None
        result = worker.step()
    return end_fold(folder, job, result)


def end_fold(folder: TrialDir, job: Job, result: dict[str, Any]) -> TrialRecord:
    """Write how a fold ended; `result` is its last epoch's, or holds the `reason` why it failed."""
    reason = result.get("reason")
    record = folder.summary(
        job.trial,
        FAILED if reason else FINISHED,
        reason=reason,
        ended_by=None if reason else result["ended_by"],
        traceback=result.get("traceback"),
    )
    folder.write_record(record)
    return record
