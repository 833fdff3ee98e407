"""Fold normalisations into the convolutions before them: the same answers in evaluation mode, sooner."""

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from medray.training.frozen.trunk import TOLERANCE, Trunk


@torch.no_grad()
def folded(trunk: Trunk, images: Tensor) -> Trunk:
    """Return a trunk in which convolutions are one with the BatchNorm after them; the given one is not changed.

    That a convolution's outputs go to the module after it and nowhere else is supposed, and tried on `images`
    (n, C, H, W) in [0, 1]: where the features differ, the trunk itself is returned.
    """
    network = _folded(trunk.network)
    if network is trunk.network:
        return trunk
    other = copy.copy(trunk)
    other._modules = {"network": network}
    expected, features = trunk(images), other(images)
    difference = (features - expected).abs().max()
    return other if difference <= TOLERANCE * expected.abs().max() else trunk


def _folded(module: nn.Module) -> nn.Module:
    """Return a module that shares what is not folded; itself where nothing is."""
    children = dict(module._modules)
    for name, after in pairwise(children):
        pair = _one_of(children[name], children[after])
        if pair is not None:
            children[name], children[after] = pair
    children = {name: None if child is None else _folded(child) for name, child in children.items()}
    if all(child is module._modules[name] for name, child in children.items()):
        return module
    clone = copy.copy(module)
    clone._modules = children
    return clone


def _one_of(layer: nn.Module | None, norm: nn.Module | None) -> tuple[nn.Module, nn.Module] | None:
    """Return a convolution that does the work of both, and what is left of the second; None if they don't fit."""
    from timm.layers import BatchNormAct2d

    if not isinstance(layer, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
        return None
    if norm.training or norm.num_features != layer.out_channels:
        return None
    rest = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
    return fuse_conv_bn_eval(layer, norm), rest.eval()
