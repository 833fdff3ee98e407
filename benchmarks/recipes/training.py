"""One training by medray's own loop, with what a recipe changes in it."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torchvision.transforms import v2

from medray._types import Array, silent
from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.stats.outputs import Outputs
from medray.training import optim
from medray.training.deadline import Deadline
from medray.training.loop import _Training
from medray.training.models.blocks import parts_of
from medray.training.parallel.group import ALONE
from medray.training.predict import predict_part
from medray.training.stages import Stage

from .arms import Arm


class RecipeTraining(_Training):
    """medray's training with a recipe; `mirrored_outputs` are those averaged with the mirror images'."""

    mirrored_outputs: Outputs

    def __init__(self, arm: Arm, config: TrainConfig, train: LabelledImages, val: LabelledImages) -> None:
        self.arm = arm
        self.trivial = v2.TrivialAugmentWide() if arm.trivial else None
        size = config.image_size
        super().__init__(
            config, train.sized(size), val.sized(size), torch.device("cpu"), silent, ALONE, Deadline()
        )
        if arm.timm_head:
            classifier = self.network.get_submodule("backbone").get_classifier()  # type: ignore[operator]
            nn.init.uniform_(classifier.weight, -1 / len(classifier.bias) ** 0.5, 1 / len(classifier.bias) ** 0.5)
        self.learned = [p for p in self.network.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.learned]
        self.averaged = 0  # updates of the average

    # -- rates

    def _enter(self, stage: Stage) -> None:
        super()._enter(stage)
        batches = stage.epochs * len(self.bounds)
        if self.arm.layer_decay < 1:
            self.optimizer = self._layer_wise(stage.rate)
            rates = [group["lr"] for group in self.optimizer.param_groups]
            cycle = lr_scheduler.OneCycleLR(self.optimizer, rates, total_steps=batches, cycle_momentum=False)
            self.schedule = optim.Schedule(cycle, each_batch=True)
        if self.arm.warm_up:
            rising = max(1, round(self.arm.warm_up * batches))

            def factor(step: int) -> float:
                if step < rising:
                    return (step + 1) / rising
                return (1 + math.cos(math.pi * (step - rising) / max(1, batches - rising))) / 2

            optimizer = optim.make_optimizer(self.config, self.network, stage.rate)
            self.optimizer = optimizer
            self.schedule = optim.Schedule(lr_scheduler.LambdaLR(optimizer, factor), each_batch=True)

    def _layer_wise(self, rate: float) -> torch.optim.Optimizer:
        blocks = parts_of(self.network.get_submodule("backbone")).blocks
        depth = {f"backbone.{name}": len(blocks) - i for i, names in enumerate(blocks) for name in names}
        groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            groups.setdefault((depth.get(name, 0), parameter.ndim > 1), []).append(parameter)
        listed: list[dict[str, Any]] = [
            {
                "params": each,
                "lr": rate * self.arm.layer_decay**at,
                "weight_decay": self.config.weight_decay * decayed,
            }
            for (at, decayed), each in groups.items()
        ]
        return torch.optim.AdamW(listed, fused=True)

    # -- batches

    def _train_batch(self, indices: Array, rng: np.random.Generator) -> Tensor:
        seed, rows = int(rng.integers(2**31)), np.arange(len(indices))
        inputs = self.feed.training_batch(indices, self.progress.epoch + 1, seed, rows)
        if self.trivial is not None:
            inputs = torch.stack([self.trivial((image * 255).byte()) for image in inputs]).float() / 255
        labels = torch.from_numpy(self.train.own_labels[indices])
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(self.feed.network(inputs), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip or math.inf)
        self.optimizer.step()
        self.schedule.after_batch()
        if self.arm.ema:
            looks_back = max(1.0, self.arm.ema * self.config.epochs * len(self.bounds))
            # Few updates count alike: the average does not begin at the first weights.
            self._average(max(1 / looks_back, 1 / (self.averaged + 1)))
        return loss.detach()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if not self.arm.focal:
            return optim.plain_loss(logits, labels, self.config, None)
        losses = F.cross_entropy(logits, labels, reduction="none")
        return ((1 - (-losses).exp()) ** self.arm.focal * losses).mean()

    # -- averaged weights, measured in place of the last ones

    @torch.no_grad()
    def _average(self, share: float) -> None:
        self.averaged += 1
        for average, parameter in zip(self.average, self.learned, strict=True):
            average.lerp_(parameter, share)

    def _exchange(self) -> None:
        with torch.no_grad():
            for average, parameter in zip(self.average, self.learned, strict=True):
                kept = parameter.clone()
                parameter.copy_(average)
                average.copy_(kept)

    def _recalibrate(self) -> None:
        if self.arm.swa and self.progress.epoch + 1 > (1 - self.arm.swa) * self.config.epochs:
            self._average(1 / (self.averaged + 1))
        if self.progress.epoch + 1 < self.config.epochs:
            return  # nothing is measured yet
        if self.averaged:
            self._exchange()
        super()._recalibrate()

    def _predict_val(self, epoch: int) -> Outputs:
        """Return the outputs after the last epoch; before it even ones, as no epoch is chosen by them."""
        if epoch < self.config.epochs:
            classes = len(self.val.class_names)
            return Outputs(np.full((len(self.val), classes), 1 / classes, dtype=np.float32))
        outputs, feed, val = super()._predict_val(epoch), self.feed, self.val
        every = slice(0, len(val))
        mirrored = predict_part(self.network, feed.network, val, lambda at: feed.plain(val, at).flip(-1), every)
        self.mirrored_outputs = Outputs((outputs.probabilities + mirrored.probabilities) / 2)
        return outputs
