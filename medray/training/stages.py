"""Stages of a training: a frozen backbone under a head that learns, then fine-tuning; or one stage of all.

At the change of stage the optimizer is a fresh one with the new stage's rate, and the schedule begins anew, over
that stage's own epochs. A frozen BatchNorm is in evaluation mode: it normalises by the statistics that it came
with, and keeps them. Dropout in a frozen block goes on.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch.nn.modules.batchnorm import _BatchNorm

from medray.config import TrainConfig
from medray.training.models import Network, parts_of


@dataclass(frozen=True)
class Stage:
    """Epochs from the `first` on at one rate; the head and the last `trainable_blocks` learn, None for all."""

    first: int
    epochs: int
    rate: float
    trainable_blocks: int | None


def stages_of(config: TrainConfig) -> tuple[Stage, ...]:
    """The stages of a training, one or two."""
    frozen, tuned = config.freeze_epochs, config.fine_tune_rate or config.learning_rate
    last = Stage(frozen + 1, config.epochs - frozen, tuned, config.trainable_blocks)
    return (Stage(1, frozen, config.learning_rate, 0), last) if frozen else (last,)


def stage_at(config: TrainConfig, epoch: int) -> Stage:
    """The stage that an epoch, from 1 on, is of."""
    return stages_of(config)[0 if epoch <= config.freeze_epochs else -1]


class Freezer:
    """Freezes a network stage by stage.

    Raises:
        ConfigError: a stage is to train more blocks than there are.
    """

    def __init__(self, network: Network, stages: tuple[Stage, ...]) -> None:
        self.network = network
        self.frozen = {stage: _frozen(network, stage.trainable_blocks) for stage in stages}
        self.learning: list[_BatchNorm] = []  # those that measure statistics
        self.still: list[_BatchNorm] = []

    def enter(self, stage: Stage) -> None:
        """Freeze what does not learn in a stage, and nothing else."""
        frozen = self.frozen[stage]
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(name not in frozen)
        self.learning, self.still = [], []
        for name, module in self.network.named_modules():
            if isinstance(module, _BatchNorm) and module.track_running_stats:
                (self.still if f"{name}.running_mean" in frozen else self.learning).append(module)

    def train_mode(self) -> None:
        """Put the network in training mode, all but its frozen BatchNorms."""
        self.network.train()
        for module in self.still:
            module.eval()


def _frozen(network: Network, trainable_blocks: int | None) -> frozenset[str]:
    if trainable_blocks is None:
        return frozenset()
    parts = parts_of(network.get_submodule("backbone"))
    return frozenset(f"backbone.{name}" for name in parts.frozen(trainable_blocks))


@contextlib.contextmanager
def measured_anew(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Make the statistics of BatchNorms the plain average over the batches that pass within."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
