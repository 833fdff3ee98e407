"""Where a training stands: all that it needs to go on."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from medray._types import Array


@dataclass
class TrainProgress:
    """Where a training stands besides its tensors: plain numbers, and what they were at the best epoch."""

    epoch: int = 0
    best_epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    stale_epochs: int = 0
    reference: float | None = None  # the monitored value that patience compares with


@dataclass
class TrainState:
    """All that a training needs to go on; tensors are on the CPU."""

    progress: TrainProgress
    network: dict[str, Tensor]
    best_network: dict[str, Tensor]
    best_probabilities: Array
    optimizer: dict[str, Any]
    schedule: dict[str, Any] | None
