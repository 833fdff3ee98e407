"""The parts of a backbone that are frozen and trained together: blocks from the image on, and the head.

The head is what gives the logits: the classifier, and all dense layers of ours, VGG's and AlexNet's. A block is a
stage of the network:

- in a plain stack of convolutions (ours, VGG, AlexNet) the layers up to and with a pooling: VGG16 has 5,
  lenet5 2; in resnet8_small and resnet20_small the first convolution is a block, and each residual one;
- elsewhere timm's own coarse grouping, its stem the first block: resnet18 has 5, densenet121 5,
  efficientnet_b0 8, legacy_xception 14. What stands between the last of them and the head, such as a last
  normalisation, belongs to the last; a network that timm does not group is one block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from medray.errors import ConfigError

BETWEEN = "-"  # a name that no grouping knows


@dataclass(frozen=True)
class Parts:
    """Names of a backbone's parameters and buffers: those of each block, from the image on, and of the head."""

    blocks: tuple[tuple[str, ...], ...]
    head: tuple[str, ...]

    def frozen(self, trainable_blocks: int | None) -> frozenset[str]:
        """Names of what is frozen while the last `trainable_blocks` (None for all) and the head learn.

        Raises:
            ConfigError: there are not so many blocks.
        """
        if trainable_blocks is None:
            return frozenset()
        count = len(self.blocks)
        if trainable_blocks > count:
            raise ConfigError(f"trainable_blocks: {trainable_blocks}, but the backbone has {count}")
        return frozenset(name for block in self.blocks[: count - trainable_blocks] for name in block)


def parts_of(backbone: nn.Module) -> Parts:
    """Tell the blocks and the head of a backbone, as the module's text defines them."""
    names = [name for name, _ in (*backbone.named_parameters(), *backbone.named_buffers())]
    prefix, stack = _stack(backbone)
    if stack is not None:
        blocks = [_under([prefix + child for child in stage], names) for stage in _stages(stack)]
    else:
        head = set(_under(classifier_names(backbone), names))
        blocks = _timm_blocks(backbone, [name for name in names if name not in head])
    blocks = [block for block in blocks if block]
    known = {name for block in blocks for name in block}
    return Parts(tuple(tuple(block) for block in blocks), tuple(name for name in names if name not in known))


def _under(modules: list[str], names: list[str]) -> list[str]:
    """The names that lie in one of the modules."""
    return [name for name in names if any(name.startswith(f"{module}.") for module in modules)]


def _stack(backbone: nn.Module) -> tuple[str, nn.Sequential | None]:
    """The plain stack of layers that a backbone is, or has as its `features`."""
    if isinstance(backbone, nn.Sequential):
        return "", backbone
    features = getattr(backbone, "features", None)
    if isinstance(features, nn.Sequential) and not any(True for layer in features for _ in layer.children()):
        return "features.", features
    return "", None


def _stages(stack: nn.Sequential) -> Iterator[list[str]]:
    """The layers of each stage: up to a pooling, or a residual block on its own."""
    stage: list[str] = []
    for name, layer in stack.named_children():
        if isinstance(layer, nn.Flatten):
            break
        residual = any(True for _ in layer.children())
        if residual and stage:
            yield stage
            stage = []
        stage.append(name)
        if residual or isinstance(layer, nn.MaxPool2d):
            yield stage
            stage = []
    yield stage


def _timm_blocks(backbone: nn.Module, names: list[str]) -> list[list[str]]:
    from timm.models._manipulate import group_with_matcher

    grouping: Any = getattr(backbone, "group_matcher", None)
    if grouping is None:
        return [names]
    matcher = grouping(coarse=True)
    places = group_with_matcher(((name, name) for name in [*names, BETWEEN]), matcher, reverse=True)
    last = places.pop(BETWEEN) - 1
    blocks: list[list[str]] = [[] for _ in range(last + 1)]
    for name, place in places.items():
        blocks[min(place, last)].append(name)
    return blocks


def classifier_names(backbone: nn.Module) -> list[str]:
    """Names of the modules that give the logits: timm's classifier, else the last dense layer."""
    classifier: Any = getattr(backbone, "get_classifier", None)
    if classifier is not None:
        found = classifier()
        layers = list(found) if isinstance(found, tuple | list | nn.ModuleList) else [found]
        return [name for name, module in backbone.named_modules() if name and any(module is m for m in layers)]
    return [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear)][-1:]


def widen_head(backbone: nn.Module, width: int, dropout: float) -> None:
    """Put a hidden dense layer of `width` with ReLU and dropout before the one that gives the logits.

    Raises:
        ConfigError: the backbone has no such layer.
    """
    names = classifier_names(backbone)
    linear = backbone.get_submodule(names[0]) if len(names) == 1 else None
    if not isinstance(linear, nn.Linear):
        raise ConfigError("head_width: the backbone has no dense last layer that a wider one could come before")
    hidden, logits = nn.Linear(linear.in_features, width), nn.Linear(width, linear.out_features)
    backbone.set_submodule(names[0], nn.Sequential(hidden, nn.ReLU(), nn.Dropout(dropout), logits))
