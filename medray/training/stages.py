"""Stages of a training: the head on a frozen backbone, then fine-tuning; or everything in one stage.

Each stage has an optimizer of its own with its own rate, and a schedule over its own epochs. What is frozen is
in evaluation mode, without dropout: an image has the same features in each epoch. A frozen BatchNorm normalises
by the statistics that it came with, and keeps them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from medray.config import TrainConfig
from medray.training.models import Network, parts_of
from medray.training.models.blocks import modules_before_training


@dataclass(frozen=True)
class Stage:
    """Epochs from the `first` on; the head and the last `trainable_blocks` (None: all) are trained at `rate`."""

    first: int
    epochs: int
    rate: float
    trainable_blocks: int | None


def stages_of(config: TrainConfig) -> tuple[Stage, ...]:
    """Return the one or two stages of a training."""
    frozen, rate = config.freeze_epochs, config.fine_tune_rate or config.learning_rate
    last = Stage(frozen + 1, config.epochs - frozen, rate, config.trainable_blocks)
    return (Stage(1, frozen, config.learning_rate, 0), last) if frozen else (last,)


def stage_at(config: TrainConfig, epoch: int) -> Stage:
    """Return the stage of an epoch, counted from 1."""
    return stages_of(config)[0 if epoch <= config.freeze_epochs else -1]


class Freezer:
    """Freezes a network stage by stage; with `freeze_norms` the statistics of its BatchNorms in all of them.

    Raises:
        ConfigError: a stage trains more blocks than there are.
    """

    def __init__(self, network: Network, stages: tuple[Stage, ...], *, freeze_norms: bool = False) -> None:
        self.network, self.freeze_norms = network, freeze_norms
        self.frozen: dict[Stage, frozenset[str]] = {}
        for stage in stages:
            names: frozenset[str] = frozenset()
            if stage.trainable_blocks is not None:
                names = parts_of(network.get_submodule("backbone")).frozen(stage.trainable_blocks)
            self.frozen[stage] = frozenset(f"backbone.{name}" for name in names)
        self.learning: list[_BatchNorm] = []  # those whose statistics follow the batches
        self.fixed: list[nn.Module] = []

    def enter(self, stage: Stage) -> None:
        """Freeze what a stage does not train, and nothing else."""
        frozen = self.frozen[stage]
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(name not in frozen)
        self.learning, backbone = [], self.network.get_submodule("backbone")
        passed = modules_before_training(backbone, {name.removeprefix("backbone.") for name in frozen})
        self.fixed = [backbone.get_submodule(name) for name in passed] if frozen else []
        for name, module in self.network.named_modules():
            if isinstance(module, _BatchNorm) and module.track_running_stats:
                is_fixed = self.freeze_norms or f"{name}.running_mean" in frozen
                (self.fixed if is_fixed else self.learning).append(module)

    def train_mode(self) -> None:
        """Put the network in training mode, except what comes before the first trained layer and frozen norms."""
        self.network.train()
        for module in self.fixed:
            module.eval()


def untrained_names(network: Network, config: TrainConfig) -> frozenset[str]:
    """Return the names of the parameters and buffers that no stage of a training changes."""
    return frozenset.intersection(*Freezer(network, stages_of(config)).frozen.values())


@contextlib.contextmanager
def recalibrated(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Make the statistics of BatchNorms the plain average over the batches that pass inside the block."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
