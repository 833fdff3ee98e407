"""Attention over the images of a case: a score of each image, computed beside its logits from the same features.

The score of features h is w . tanh(V h + b) (Ilse, Tomczak & Welling 2018, "Attention-based Deep Multiple Instance
Learning"); its softmax over the images of a case says how much each weighs. V, b and w are buffers, which no
optimizer of the network touches: `medray.training.case_attention` learns them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medray.errors import ConfigError
from medray.training.models.blocks import classifier_names

HIDDEN = 32
MARK = ".attention.hidden"  # the end of the name of a tensor that no backbone has


class Attention(nn.Module):
    """Maps features (n, f) to scores (n, 1); all are 0, and so all images weigh the same, until it has learned."""

    hidden: Tensor
    bias: Tensor
    weight: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("hidden", torch.zeros(HIDDEN, features))
        self.register_buffer("bias", torch.zeros(HIDDEN))
        self.register_buffer("weight", torch.zeros(1, HIDDEN))

    def forward(self, features: Tensor) -> Tensor:
        """Return the scores, float32 (n, 1)."""
        return F.linear(torch.tanh(F.linear(features.float(), self.hidden, self.bias)), self.weight)

    @torch.no_grad()
    def take(self, hidden: Tensor, bias: Tensor, weight: Tensor) -> None:
        """Take what was learned: (32, f), (32,) and (1, 32)."""
        self.hidden.copy_(hidden)
        self.bias.copy_(bias)
        self.weight.copy_(weight)


class AttendingLinear(nn.Linear):
    """A last dense layer that gives a score beside the logits: features (n, f) to (n, logits + 1)."""

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.attention = Attention(linear.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """Return the logits, and behind them the score."""
        logits = F.linear(input, self.weight, self.bias)
        return torch.cat([logits, self.attention(input).to(logits.dtype)], dim=1)


def attend(backbone: nn.Module) -> None:
    """Make a backbone give a score behind its logits.

    Raises:
        ConfigError: it has no dense last layer, whose features are those of an image.
    """
    names = classifier_names(backbone)
    last = backbone.get_submodule(names[0]) if len(names) == 1 else None
    while isinstance(last, nn.Sequential):  # a widened head, or that behind the features of all stages
        names, last = [f"{names[0]}.{len(last) - 1}"], last[-1]
    if not isinstance(last, nn.Linear):
        raise ConfigError(
            "the backbone has no dense last layer, whose features `cases: {answer: attention}` weighs images by; "
            "`answer: mean` works with every backbone",
            key="backbone",
        )
    backbone.set_submodule(names[0], AttendingLinear(last))


def attending_layer(network: nn.Module) -> AttendingLinear | None:
    """Return the layer of a network that gives the scores, None of one that does not attend."""
    return next((module for module in network.modules() if isinstance(module, AttendingLinear)), None)
