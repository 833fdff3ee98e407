"""Worker: runs fit() in a worker process, and writes the files of a trial or a fold after every epoch.

Files reach the run's folder before the epoch is reported, so all that the driver knows of is on disk:

    val_predictions.npz, weights.safetensors    when the epoch is the best so far
    checkpoint.safetensors                      all that is needed to go on; gone when the trial has ended
    epochs.jsonl                                one record an epoch

What no epoch changes is not among these: it is written once, into the run's `trunks`.
"""

import contextlib
import math
import time
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from medray.cluster.best_files import read_checkpoint, write_best
from medray.cluster.step_result import StepResult
from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.errors import MedrayError, RunError, one_line
from medray.runs.rundir import TrialDir
from medray.runs.trial_record import TIME, EpochRecord
from medray.runs.trunks import LEAST_BYTES, TRUNK, write_trunk
from medray.space.search_space import Resources
from medray.stats.metrics import defined_metrics
from medray.stats.outputs import Outputs
from medray.training.deadline import Deadline, OutOfTime
from medray.training.loop import EpochResult, fit
from medray.training.parallel.group import ALONE, Group
from medray.training.state import TrainState
from medray.training.weights import weights_to_bytes, write_state


@contextlib.contextmanager
def local_worker(resources: Resources) -> "Iterator[Worker]":
    """Yield a worker in this process, on the GPU if `resources` ask for one and there is one.

    It uses as many threads as a Ray worker of as many cores; torch's own setting is restored at the end.
    """
    threads = torch.get_num_threads()
    try:
        gpu = resources.gpu > 0 and torch.cuda.is_available()
        yield Worker(max(1, int(resources.cpu)), "cuda" if gpu else "cpu")
    finally:
        torch.set_num_threads(threads)


class Worker:
    """Runs one training after another in the same process; a step is an epoch.

    Nothing of one training reaches the next: each starts from fresh weights, or from its own checkpoint. In a
    `group` of processes that train together the first one alone writes files.
    """

    def __init__(self, threads: int, device: str = "cpu", group: Group = ALONE) -> None:
        torch.set_num_threads(threads)
        self.device, self.group = device, group

    def open(
        self, folder: TrialDir, train: LabelledImages, val: LabelledImages, metric: str, until: float = math.inf
    ) -> None:
        """Take up the training whose settings lie in `folder`: a new one, or one that has a checkpoint.

        It is ended within an epoch that goes on after the time `until`, as `time.time()` counts.
        """
        self.deadline = Deadline(until)
        self.trial_dir, self.train_split, self.val_split, self.metric = folder, train, val, metric
        self.settings: dict[str, Any] = {}
        self.records: list[EpochRecord] = []
        self.trunk: str | None = None  # the hash of the trunk's file, of which the tensors `shared` are
        self.shared: frozenset[str] = frozenset()
        self.steps = self._train()

    def step(self) -> StepResult:
        """Train one epoch; a failure ends this training and says why, but not the process."""
        self.deadline.begin_epoch()
        return next(self.steps)

    def _train(self) -> Iterator[StepResult]:
        try:
            state = self._restore()
            if state is not None:  # the driver may not have heard of its last epoch
                yield _step_result(self.records[-1])
            if self.device != "cpu":
                torch.cuda.empty_cache()
            config = TrainConfig.from_dict(self.settings)
            for result in fit(
                config, self.train_split, self.val_split,
                device=self.device, resume=state, group=self.group, deadline=self.deadline,
            ):  # fmt: skip
                yield _step_result(self._keep(result))
            return
        except OutOfTime as ended:
            last = StepResult(len(self.records) + 1, None, TIME, seconds=ended.seconds, clock=time.time())
        except Exception as error:
            expected = isinstance(error, MedrayError)
            last = StepResult(
                epoch=len(self.records) + 1,
                objective=None,
                ended_by="failed",
                reason=one_line(error, limit=1000) if expected else f"{type(error).__name__}: {one_line(error)}",
                traceback=None if expected else "".join(traceback.format_exception(error))[-4000:],
            )
        yield last  # only here, where the error and with it the network are let go

    def _restore(self) -> TrainState | None:
        """Read the settings, and the checkpoint if there is one.

        The files of its best epoch are written again, as a kill may have left one of them from a later epoch.
        """
        if not self.trial_dir.exists(TrialDir.CONFIG):
            raise RunError(
                f"this node does not see {self.trial_dir.location}: give a shared folder or s3://… as --storage"
            )
        self.settings = self.trial_dir.read_json(TrialDir.CONFIG)
        if not self.trial_dir.exists(TrialDir.CHECKPOINT):
            return None
        found = read_checkpoint(self.trial_dir)
        self.records, self.trunk, self.shared = found.records, found.trunk, found.shared
        if self.group.rank == 0:
            self._write_best(found.state.best_network, found.state.best_outputs, self.records[-1])
            self.trial_dir.write_epochs(self.records)
        return found.state

    def _keep(self, result: EpochResult) -> EpochRecord:
        """Keep the epoch's record, in files if this process writes them, and return it."""
        record = EpochRecord(
            epoch=result.epoch,
            objective=result.best[self.metric],
            train_loss=result.train_loss,
            learning_rate=result.learning_rate,
            seconds=result.seconds,
            metrics=defined_metrics(result.metrics),
            best_epoch=result.best_epoch,
            best=defined_metrics(result.best),
            parameters=result.parameters,
            ended_by=result.ended_by,
        )
        self.records.append(record)
        if self.group.rank == 0:
            self._write(result, record)
        return record

    def _write(self, result: EpochResult, record: EpochRecord) -> None:
        if len(self.records) == 1:
            self._share(result)
        if result.is_best:
            self._write_best(result.best_network, result.best_outputs, record)
        state, facts = result.state(), {"epochs": [epoch.to_dict() for epoch in self.records], TRUNK: self.trunk}
        self.trial_dir.write_by(TrialDir.CHECKPOINT, lambda path: write_state(path, state, facts, self.shared))
        # After the checkpoint: an epoch that can be read of is never done again.
        self.trial_dir.write_epochs(self.records)

    def _share(self, result: EpochResult) -> None:
        """Write the trunk's file, unless another training has done so, if it is large enough to be worth one."""
        tensors = {name: result.best_network[name] for name in result.untrained}
        if sum(tensor.nbytes for tensor in tensors.values()) >= LEAST_BYTES:
            self.trunk = write_trunk(self.trial_dir.trunks, weights_to_bytes(tensors))
            self.shared = result.untrained

    def _write_best(self, network: dict[str, Tensor], outputs: Outputs, record: EpochRecord) -> None:
        cases = self.val_split.own_cases
        write_best(
            self.trial_dir, network, outputs, record, self.val_split.own_labels,
            None if cases is None else cases.numbers, self.settings, self.trunk, self.shared,
        )  # fmt: skip


def _step_result(record: EpochRecord) -> StepResult:
    return StepResult(record.epoch, record.objective, record.ended_by, seconds=record.seconds)
