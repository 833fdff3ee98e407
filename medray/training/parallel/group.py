"""Group: the processes that train one network together, each on its part of every batch.

All draw the same order of images, the same transforms and the same mixup, and each computes its part of them. The
gradients are averaged by PyTorch's DistributedDataParallel, and BatchNorms normalise by the whole batch, so a
training gives the figures of one process with the same batches, up to rounding. Dropout does not: each process
draws its own, so its figures are as with another seed.
"""

import contextlib
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from medray._types import Array
from medray.training.parallel.batch_norm import SharedStatistics

# One may wait for features that another one computes; deaths are seen by who started it.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Group:
    """`size` processes, of which this one is `rank`, counted from 0; by default it is alone."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, rank: int, size: int, file: Path, device: torch.device) -> "Group":
        """Make this process one of `size` on this machine that meet at `file`, which none has used before.

        They talk by gloo on CPUs, through the loopback interface alone, and by NCCL on GPUs.
        """
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
        backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
        dist.init_process_group(
            backend, init_method=f"file://{file}", rank=rank, world_size=size, timeout=PATIENCE
        )
        return cls(rank, size)

    def part(self, count: int) -> slice:
        """Return which of `count` images are this process's; all, where there is not one for each process."""
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def factor(self, count: int, share: Tensor | float) -> Tensor | float:
        """Return what the mean loss of this process's part of `count` images counts times.

        `share` is the part's in the whole batch's loss. The mean of all processes' losses, each so many times,
        is then the mean loss of the batch, and so are their gradients.
        """
        return share if count < self.size else share * self.size

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return a network whose gradients are averaged over all processes as they are computed."""
        if self.size == 1:
            return network
        averaging = DistributedDataParallel(network)
        averaging.broadcast_buffers = False  # they are the same; only here, as the argument's name has changed
        return averaging

    def shared_statistics(self, count: int) -> contextlib.AbstractContextManager[object]:
        """Let BatchNorms in training mode normalise by all of a batch of `count` images inside the block."""
        return SharedStatistics() if self.size > 1 and count >= self.size else contextlib.nullcontext()

    def mean(self, number: Tensor) -> Tensor:
        """Return the mean of all processes' numbers."""
        if self.size > 1:
            dist.all_reduce(number)
        return number / self.size

    def whole(self, rows: Array, count: int) -> Array:
        """Return the rows (count, ...) of all images, of which `rows` are those of this process's part."""
        if self.size == 1 or count < self.size:
            return rows
        table = torch.zeros(count, *rows.shape[1:], dtype=torch.from_numpy(rows).dtype)
        table[self.part(count)] = torch.from_numpy(rows)
        dist.all_reduce(table)
        whole: Array = table.numpy()
        return whole


ALONE = Group()
