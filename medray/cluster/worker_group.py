"""WorkerGroup: worker processes on one machine that train one network together; to who holds it it is one Worker.

Who holds it has the cores and GPUs, as for a training by itself; the group's processes ask Ray for none and take
its, a GPU each. So a trial and a fold are placed alike whatever they take, and the group stays for the next one.
A process that dies ends the others, and its holder fails as a worker that died does: the training goes on from its
checkpoint in another group.
"""

import contextlib
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from medray._types import Array
from medray.cluster.step_result import StepResult
from medray.data.dataset import ImageDataset, LabelledImages
from medray.runs.rundir import TrialDir
from medray.space.search_space import Resources

GRACE_S = 30.0  # for others to fail too, or to be known as dead, once one has failed


class GroupMember:
    """One process of a group: a Worker that writes files only where it is the first."""

    def __init__(
        self, rank: int, resources: Resources, meeting: str, dataset: list[Any], gpus: list[int | str]
    ) -> None:
        """Join the others at the file `meeting`; `dataset` holds a reference to it, `gpus` at most the own one."""
        if gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(gpus[0])  # Ray gives none to who asks for none
        import ray
        import torch

        from medray.cluster.trial_worker import Worker
        from medray.training.parallel.group import Group

        device = "cuda" if gpus and torch.cuda.is_available() else "cpu"
        self.dataset: ImageDataset = ray.get(dataset[0])
        none = np.empty(0, dtype=np.int64)
        self.slices = self.dataset.at(none), self.dataset.at(none)
        group = Group.join(rank, resources.workers, Path(meeting), torch.device(device))
        self.worker = Worker(max(1, int(resources.cpu / resources.workers)), device, group)

    def open(self, folder: TrialDir, train: Array, val: Array, metric: str, until: float) -> None:
        """Take up a training on the images at some positions."""
        kept = zip(self.slices, (train, val), strict=True)  # they know the hash of their images once it is made
        if not all(np.array_equal(old.positions, positions) for old, positions in kept):
            self.slices = self.dataset.at(train), self.dataset.at(val)
        self.worker.open(folder, *self.slices, metric, until)

    def step(self) -> StepResult:
        """Train one epoch."""
        return self.worker.step()


class WorkerGroup:
    """Runs one training after another in `resources.workers` processes; a step is an epoch, as a Worker's.

    They start on the machine of this process, which has the resources, as the first training is opened.
    """

    def __init__(self, dataset: list[Any], resources: Resources) -> None:
        """Take the data set, as a reference in a list: its images stay where they are."""
        self.dataset, self.resources = dataset, resources
        self.members: list[Any] = []

    def open(
        self, folder: TrialDir, train: LabelledImages, val: LabelledImages, metric: str, until: float = math.inf
    ) -> None:
        """Take up a training on slices of the data set, as `Worker.open`."""
        import ray
        from ray.exceptions import RayActorError

        arguments = folder, train.positions, val.positions, metric, until
        if self.members:
            with contextlib.suppress(RayActorError):  # one has died since the last training
                ray.get([member.open.remote(*arguments) for member in self.members])
                return
            self.close()
        self._start()
        ray.get([member.open.remote(*arguments) for member in self.members])

    def step(self) -> StepResult:
        """Train one epoch; a failure ends this training and says why.

        Raises:
            ray.exceptions.RayActorError: a process has died.
        """
        import ray
        from ray.exceptions import RayActorError

        waiting = [member.step.remote() for member in self.members]
        first, failed = waiting[0], None
        try:
            while waiting and failed is None:
                (ended,), waiting = ray.wait(waiting)
                result: StepResult = ray.get(ended)
                failed = result if result.reason or result.cut_short else None
            if failed is None:
                return ray.get(first)  # type: ignore[no-any-return]
            # The others fail alike, or wait for it; where one has died, that is why this one failed.
            # Of an epoch that was cut short the others may be in another batch, for which they wait for ever.
            grace = 0.0 if failed.cut_short else GRACE_S
            others, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=grace) if waiting else ([], [])
            ray.get(others)
        except RayActorError:
            self.close()
            raise
        if waiting or failed.traceback is not None or failed.cut_short:  # on a GPU one may be a batch ahead
            self.close()
        return failed

    def close(self) -> None:
        """End the processes; they also end with this one."""
        import ray

        for member in self.members:
            ray.kill(member)
        self.members = []
        self.folder.cleanup()

    def _start(self) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        member = ray.remote(num_cpus=0, scheduling_strategy=here)(GroupMember)
        self.folder = tempfile.TemporaryDirectory(prefix="medray-")  # NCCL meets there at its first use
        meeting, gpus = f"{self.folder.name}/meeting", ray.get_gpu_ids()
        self.members = [
            member.remote(rank, self.resources, meeting, self.dataset, gpus[rank : rank + 1])
            for rank in range(self.resources.workers)
        ]
