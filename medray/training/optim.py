"""Optimizers, schedules, class balance and mixup of a TrainConfig."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

from medray._types import Array
from medray.config import LBFGS, TrainConfig
from medray.data.dataset import LabelledImages
from medray.data.members import strata_of
from medray.training.parallel.group import ALONE, Group
from medray.training.stages import Stage

MOST_WEIGHT = 100.0  # of a label that is very rare: a larger one makes the loss a matter of few images


def make_optimizer(config: TrainConfig, network: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Return the optimizer of what is not frozen; biases and normalisation weights are not decayed."""
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate, fused=True)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=True)
    if config.optimizer == LBFGS:  # `medray.training.linear` has its own
        return torch.optim.SGD(groups, lr=rate)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, nesterov=config.momentum > 0, fused=True)
    # Hinton's 0.9, as in Keras: with PyTorch's 0.99 the first step is ten times the rate, and the loss explodes.
    return torch.optim.RMSprop(groups, lr=rate, alpha=0.9, momentum=config.momentum)


def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give the optimizer's tensors the parameters' memory layout, as its fused kernels expect."""
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter).copy_(value)


@dataclass
class Schedule:
    """The learning rate over a stage of a training; without a `scheduler` it is constant.

    cosine falls to 0 batch by batch (Loshchilov & Hutter 2017), step multiplies by `step_factor` after each
    `step_epochs` (by default a third of the stage's epochs), plateau halves after 3 epochs without a lower
    validation loss, one_cycle rises for 30 % of the batches and falls (Smith 2018).
    """

    scheduler: lr_scheduler.LRScheduler | None
    each_batch: bool

    @classmethod
    def make(cls, config: TrainConfig, stage: Stage, optimizer: torch.optim.Optimizer, batches: int) -> "Schedule":
        """Return the schedule of a stage with `batches` an epoch."""
        total = stage.epochs * batches
        match config.schedule:
            case "cosine":
                return cls(lr_scheduler.CosineAnnealingLR(optimizer, T_max=total), each_batch=True)
            case "step":
                step = config.step_epochs or max(1, stage.epochs // 3)
                steps = lr_scheduler.StepLR(optimizer, step_size=step, gamma=config.step_factor)
                return cls(steps, each_batch=False)
            case "plateau":
                plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
                return cls(plateau, each_batch=False)
            case "one_cycle":
                cycle = lr_scheduler.OneCycleLR(
                    optimizer,
                    max_lr=stage.rate,
                    total_steps=max(total, 2),
                    cycle_momentum=config.optimizer == "sgd" and config.momentum > 0,
                )
                return cls(cycle, each_batch=True)
        return cls(None, each_batch=False)

    def after_batch(self) -> None:
        """Advance by one batch."""
        if self.scheduler is not None and self.each_batch:
            self.scheduler.step()

    def after_epoch(self, val_loss: float) -> None:
        """Advance by one epoch."""
        if isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(val_loss)
        elif self.scheduler is not None and not self.each_batch:
            self.scheduler.step()


def label_weights(train: LabelledImages) -> Array:
    """Return how much more having a label weighs than not having it, float (classes,), at most `MOST_WEIGHT`.

    It is the number of images without it over that of images with it, 1 where there is none of either.
    """
    labels = train.own_labels
    having, without = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    weights = np.where(having * without > 0, without / np.maximum(having, 1), 1.0)
    bounded: Array = weights.clip(1 / MOST_WEIGHT, MOST_WEIGHT)
    return bounded


def image_weights(train: LabelledImages) -> Array:
    """Return how often each image is to be drawn, float (n,), adding up to 1: by the rarest of its classes."""
    strata = strata_of(train.own_labels)
    weights = (strata / strata.sum(axis=0)).max(axis=1)
    shares: Array = weights / weights.sum()
    return shares


def class_weights(train: LabelledImages) -> Array:
    """Return the weight of each class, float (classes,): n / (classes · count), 0 for a class without images."""
    counts = train.class_counts()
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = len(train) / (present.sum() * counts[present])
    return weights


def loss_weight(config: TrainConfig, train: LabelledImages, device: torch.device) -> Tensor | None:
    """Return the weight of each class in the loss, of label sets of having each label; None for equal weights."""
    if config.class_balance != "loss":
        return None
    weights = label_weights(train) if train.own_labels.ndim == 2 else class_weights(train)
    return torch.from_numpy(weights).float().to(device)


def epoch_order(config: TrainConfig, train: LabelledImages, rng: np.random.Generator) -> Array:
    """Return the order of an epoch's images: a shuffle, or draws by class weight for the sampler."""
    if config.class_balance == "sampler":
        return rng.choice(len(train), size=len(train), p=image_weights(train))
    return rng.permutation(len(train))


def batch_bounds(images: int, batch_size: int) -> list[tuple[int, int]]:
    """Return begin and end of each batch; a last batch of one image joins the one before (BatchNorm needs two)."""
    starts = list(range(0, images, batch_size))
    if len(starts) > 1 and images - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], images], strict=True))


def plain_loss(logits: Tensor, labels: Tensor, config: TrainConfig, weight: Tensor | None) -> Tensor:
    """Return the cross entropy with label smoothing; of label sets (n, classes) the mean of the binary ones."""
    if labels.ndim == 2:
        return _label_set_loss(logits.float(), labels, weight, config.label_smoothing)
    return F.cross_entropy(logits.float(), labels, weight=weight, label_smoothing=config.label_smoothing)


def loss_mass(labels: Tensor, weight: Tensor | None) -> Tensor | float:
    """Return what `plain_loss` divides the sum of the losses of labels (n, ..) by."""
    if labels.ndim == 2:
        return (labels >= 0).float().sum().clamp_min(1)
    return len(labels) if weight is None else weight[labels].sum()


def mixed_loss(
    network: nn.Module, images: Tensor, labels: Tensor, config: TrainConfig, weight: Tensor | None, share: float,
    group: Group = ALONE, whole: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the loss of images (n, ...) in training; `share` below 1 is mixup's λ (Zhang et al. 2018).

    With mixup `images` and `labels` (2n, ...) are those of the n images and then of the ones that each is mixed
    with. In a `group`, `whole` are the labels of all images of the batch, of which `images` are its part.
    """

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        mean = plain_loss(logits, target, config, weight)
        if group.size == 1 or whole is None:
            return mean
        return mean * group.factor(len(whole), loss_mass(target, weight) / loss_mass(whole, weight))

    if share >= 1.0:
        return loss(network(images), labels)
    (first, second), targets = images.chunk(2), labels.chunk(2)
    logits = network(share * first + (1 - share) * second)
    return share * loss(logits, targets[0]) + (1 - share) * loss(logits, targets[1])


def _label_set_loss(logits: Tensor, labels: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
    """Return the mean binary cross entropy of the labels (n, classes) that are known; 0 where none is.

    With a `weight` of having each label (classes,) the log-odds are shifted by its logarithm (logit adjustment,
    Menon et al. 2021): the best answer is then the label's own probability, not odds `weight` times too high.
    """
    known = (labels >= 0).float()
    targets = (labels == 1).float() * (1 - smoothing) + smoothing / 2
    shifted = logits if weight is None else logits + weight.log()
    losses = F.binary_cross_entropy_with_logits(shifted, targets, pos_weight=weight, reduction="none")
    return (losses * known).sum() / known.sum().clamp_min(1)
