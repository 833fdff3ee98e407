"""Split a network into its trunk, which is frozen, and the rest, which is trained on what the trunk gives.

The trunk is all that comes before the first trained layer. The rest is the network's own forward with the
trunk's modules taken out, so it has the network's layers and parameters and not copies of them. That works
where a network runs its modules in their order, one after another; where it does not (a vision transformer adds
its positions between two of them) the features of the last dense layer are used, if nothing but that layer is
trained. Every split is tried on images first: one that does not give the network's own answers is not used.
"""

import contextlib
import copy
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medray.training.models import Network
from medray.training.models.blocks import classifier_names, modules_before_training

LARGEST_PART = 0.9  # of what is frozen, at least: a stem alone is not worth keeping
Module = TypeVar("Module", bound=nn.Module)
TOLERANCE = 1e-4  # of the split's logits, relative to the largest


class _Reached(Exception):  # noqa: N818  ends a forward at the trunk's end, and is no error
    def __init__(self, features: Tensor) -> None:
        self.features = features


class _End(nn.Module):
    """Ends a network's forward, after a layer or before one."""

    def __init__(self, layer: nn.Module | None) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: Tensor) -> Tensor:
        raise _Reached(features if self.layer is None else self.layer(features))


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode inside the block; threads that run it may all enter from one."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class Trunk(nn.Module):
    """The frozen part of a network: images to features, in evaluation mode.

    Its `network` has the whole one's own layers and ends early. No hook is registered: the whole one can run
    in another thread.
    """

    def __init__(self, network: Network, last: str, *, before: bool) -> None:
        """Take all modules up to `last`, with it or, where `before`, without."""
        super().__init__()
        self.network = _with(network, {last: _End(None if before else network.get_submodule(last))})
        self.name = f"{last}{' (input)' if before else ''}"

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the features (n, ...) of images (n, C, H, W) in [0, 1], computed in evaluation mode."""
        with evaluating(self.network):
            try:
                self.network(images)
            except _Reached as reached:
                return reached.features
        raise RuntimeError(f"{self.name} did not run")


class Rest(nn.Module):
    """A network without its trunk: features to logits, with the network's own layers."""

    def __init__(self, network: Network, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self._link = network._modules.get("link")
        self.attends, self.probabilities = network.attends, network.probabilities

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, classes) of features, or a link's log-probabilities."""
        return self.logits_and_scores(features)[0]

    def logits_and_scores(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits (n, classes), and the scores (n,) of a network that attends."""
        outputs = self.backbone(features)
        scores = outputs[:, -1].float() if self.attends else None
        logits = outputs[:, :-1] if self.attends else outputs
        return logits if self._link is None else self._link(logits), scores


class _LastLayer(nn.Module):
    """A network's last dense layer, with the dropout that timm puts before it."""

    def __init__(self, layer: nn.Module, dropout: float) -> None:
        super().__init__()
        self.layer, self.dropout = layer, dropout

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.layer(F.dropout(features, self.dropout, self.training))
        return outputs


def split_network(
    network: Network, frozen: Collection[str], images: Tensor, dropout: float
) -> tuple[Trunk, Rest] | None:
    """Return the trunk and the rest of a network whose parameters and buffers `frozen` are not trained.

    `images` (n, C, H, W) in [0, 1] try the split; `dropout` is the rate before the last layer. None where the
    network can't be split, or nothing is frozen.
    """
    was_training = network.training
    try:
        for trunk, rest in _splits(network, frozenset(frozen), dropout):
            if _gives_the_same(network, trunk, rest, images):
                return trunk, rest
        return None
    finally:
        network.train(was_training)


def _splits(network: Network, frozen: frozenset[str], dropout: float) -> Iterator[tuple[Trunk, Rest]]:
    """Yield ways to split a network, the more general one first."""
    backbone = network.get_submodule("backbone")
    inside = {name.removeprefix("backbone.") for name in frozen}
    passed = modules_before_training(backbone, inside)
    sizes = {name: tensor.numel() for name, tensor in (*backbone.named_parameters(), *backbone.named_buffers())}
    taken = sum(size for name, size in sizes.items() if any(name.startswith(f"{module}.") for module in passed))
    if taken and taken >= LARGEST_PART * sum(sizes[name] for name in inside):
        yield (
            Trunk(network, f"backbone.{passed[-1]}", before=False),
            Rest(network, _with(backbone, {name: nn.Identity() for name in passed})),
        )
    heads = classifier_names(backbone)
    names = [n for n, _ in (*network.named_parameters(), *network.named_buffers()) if n.startswith("backbone.")]
    only_head = len(heads) == 1 and all(
        name in frozen or name.startswith(f"backbone.{heads[0]}.") for name in names
    )
    if only_head and frozen:
        layer = _LastLayer(backbone.get_submodule(heads[0]), dropout)
        yield Trunk(network, f"backbone.{heads[0]}", before=True), Rest(network, layer)


def _with(module: Module, others: Mapping[str, nn.Module], prefix: str = "") -> Module:
    """Return a module in which the modules at some paths are `others`; all else is shared, not copied."""
    clone = copy.copy(module)
    clone._modules = dict(module._modules)
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        if path in others:
            clone._modules[name] = others[path]
        elif any(other.startswith(f"{path}.") for other in others):
            clone._modules[name] = _with(child, others, f"{path}.")
    return clone


@torch.no_grad()
def _gives_the_same(network: Network, trunk: Trunk, rest: Rest, images: Tensor) -> bool:
    """Return whether the rest makes the network's logits of the trunk's features, in evaluation mode."""
    expected = network.eval()(images)
    rest.eval()
    try:
        features = trunk(images)
        if features.ndim < 2 or len(features) != len(images):
            return False
        logits = rest(features)
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError):  # its forward needs what is gone
        return False
    if logits.shape != expected.shape:
        return False
    difference = (logits - expected).abs().max()
    return bool(difference <= TOLERANCE * expected.abs().max().clamp_min(1e-3))
