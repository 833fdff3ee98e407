"""TrainState: all that resuming a training needs."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from medray.stats.outputs import Outputs


@dataclass
class TrainProgress:
    """The numbers of a training's state: epochs so far, and the metrics of the best one."""

    epoch: int = 0
    best_epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    stale_epochs: int = 0
    reference: float | None = None  # the monitored value that patience compares with


@dataclass
class TrainState:
    """All that resuming a training needs; tensors are on the CPU."""

    progress: TrainProgress
    network: dict[str, Tensor]
    best_network: dict[str, Tensor]
    best_outputs: Outputs
    optimizer: dict[str, Any]
    schedule: dict[str, Any] | None
