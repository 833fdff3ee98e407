"""A linear head on frozen features, fitted at once: logistic regression by L-BFGS (Liu & Nocedal 1989).

The f features are standardised by those of the training images and divided by √f, so that `weight_decay` means the
same for every backbone: the loss is the mean cross entropy plus half of it times the sum of the squared weights.
scikit-learn's C on standardised features is 1 / (rows · f · weight_decay).

A feature that is dead in nearly all training images would be thousands of deviations off in another one. A head
that standardises clips to ±3 deviations; a plain last layer can't, and there no deviation counts as less than
the median.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medray._types import Array
from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.errors import ConfigError, TrainingDiverged
from medray.training import optim
from medray.training.feeds import FeatureFeed
from medray.training.frozen.trunk import Rest
from medray.training.models import Network
from medray.training.models.stage_pooling import Standardise

STEPS = 300  # of L-BFGS, at most
HISTORY = 20
GRADIENT, CHANGE = 3e-7, 1e-10  # where it ends: the largest element of the gradient, the change of the loss
LEAST_DEVIATION = 1.0  # of a feature, relative to the median: what hardly varies would else be blown up
LIMIT = 3.0  # deviations, where a head can clip


def last_layer(network: nn.Module) -> nn.Linear:
    """Return the dense layer that is all that a stage of a network, or of its `Rest`, trains, apart from a link.

    Raises:
        ConfigError: more than that is trained, or there is no such layer.
    """
    linear = [m for m in network.modules() if isinstance(m, nn.Linear) and m.weight.requires_grad]
    trained = sum(p.numel() for p in network.get_submodule("backbone").parameters() if p.requires_grad)
    if len(linear) != 1 or trained != sum(p.numel() for p in linear[0].parameters()) or linear[0].bias is None:
        raise ConfigError(
            "lbfgs fits one dense layer on a frozen backbone, and the head of this one is another; give adamw",
            key="optimizer",
        )
    return linear[0]


@torch.no_grad()
def inputs_of(layer: nn.Linear, rest: Rest, features: Tensor) -> Tensor:
    """Return what the layer gets, float32 (n, f), where the rest gets `features` (n, ...), in evaluation mode."""
    kept: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].detach()))
    try:
        rest.eval()
        rest(features)
    finally:
        handle.remove()
    return kept[0].float()


def fit_head(
    config: TrainConfig, network: Network, feed: FeatureFeed, train: LabelledImages, order: Array,
    loss_weight: Tensor | None, device: torch.device,
) -> float:  # fmt: skip
    """Fit the last layer of a network to the features of training images (n,), in all their views.

    Returns the loss at the end, of classes weighted by `loss_weight` (classes,).

    Raises:
        ConfigError: more than one dense layer is trained.
        TrainingDiverged: the loss became NaN.
    """
    layer = last_layer(feed.network)
    features, indices = feed.all_views()
    views = len(indices) // len(train)
    rows = (np.arange(views)[:, None] * len(train) + order).ravel()
    labels = torch.from_numpy(train.own_labels[indices[rows]]).to(device)
    inputs = inputs_of(layer, feed.network, features[torch.from_numpy(rows)])
    standardise = next((module for module in feed.network.modules() if isinstance(module, Standardise)), None)
    link = network._modules.get("link")

    def loss(logits: Tensor) -> Tensor:
        return optim.plain_loss(logits, labels, config, loss_weight)

    return fit_last_layer(layer, link, inputs, loss, config.weight_decay, standardise)


def fit_last_layer(
    layer: nn.Linear, link: nn.Module | None, inputs: Tensor, loss: Callable[[Tensor], Tensor],
    weight_decay: float, standardise: Standardise | None = None,
) -> float:  # fmt: skip
    """Fit a layer, and the link behind it, to inputs (n, f); return the loss of the logits (n, ...) at the end.

    `standardise` stands before the layer, if there is such a one, and takes the standardisation.

    Raises:
        TrainingDiverged: the loss became NaN.
    """
    mean, deviation = inputs.mean(dim=0), inputs.std(dim=0, correction=0)
    width = len(mean) ** 0.5
    least = LEAST_DEVIATION * deviation.median() if standardise is None else torch.zeros(())
    scale = 1 / (deviation.clamp_min(least.clamp_min(1e-9).item()) * width)
    standard = (inputs - mean) * scale
    if standardise is not None:
        standard = standard.clamp(-LIMIT / width, LIMIT / width)
    weight = torch.zeros_like(layer.weight, requires_grad=True)
    bias = torch.zeros_like(layer.bias, requires_grad=True)
    parameters = [weight, bias, *(link.parameters() if link is not None else ())]
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=STEPS, history_size=HISTORY, tolerance_grad=GRADIENT, tolerance_change=CHANGE,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def value() -> Tensor:
        logits = F.linear(standard, weight, bias)
        return loss(logits if link is None else link(logits))

    def closure() -> float:
        optimizer.zero_grad()
        total = value() + weight_decay / 2 * weight.square().sum()
        total.backward()
        return total.item()

    optimizer.step(closure)
    with torch.no_grad():
        final = value().item()
        if not math.isfinite(final):
            raise TrainingDiverged(f"the loss of the linear head became {final}")
        if standardise is not None:
            standardise.take(mean, scale, LIMIT / width)
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        else:
            layer.weight.copy_(weight * scale)
            layer.bias.copy_(bias - (weight * scale) @ mean)
    return final
