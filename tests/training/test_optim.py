"""Optimizers do what their settings say."""

import math

import pytest
import torch

from medray.config import TrainConfig
from medray.training.optim import make_optimizer


@pytest.mark.parametrize(
    ("momentum", "second"), [(0.0, 1 / math.sqrt(0.19)), (0.9, 1 / math.sqrt(0.19) + 0.9 / math.sqrt(0.1))]
)
def test_rmsprop_begins_with_small_steps(momentum: float, second: float) -> None:
    """The mean of squares after one gradient of 1 is 0.1, then 0.19: Hinton's decay of 0.9."""
    layer = torch.nn.Linear(1, 1, bias=False)
    optimizer = make_optimizer(TrainConfig(optimizer="rmsprop", momentum=momentum), layer, 0.001)
    steps = []
    for _ in range(2):
        before = layer.weight.item()
        layer.weight.grad = torch.ones(1, 1)
        optimizer.step()
        steps.append((before - layer.weight.item()) / 0.001)
    assert steps == pytest.approx([1 / math.sqrt(0.1), second], rel=1e-3)
