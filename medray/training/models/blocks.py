"""The parts of a backbone that are frozen and trained together: blocks, counted from the image, and the head.

The head is the classifier; in medray's own networks, VGG and AlexNet it is all dense layers. A block is a stage of
the network:

- in a plain stack of convolutions (medray's own, VGG, AlexNet) the layers up to and with a pooling: VGG16 has 5,
  lenet5 2; in resnet8_small and resnet20_small the first convolution is a block, and so is each residual block;
- elsewhere timm's own coarse grouping, with the stem as the first block: resnet18 has 5, densenet121 5,
  efficientnet_b0 8, legacy_xception 14. Layers between the last block and the head, such as a last normalisation,
  belong to the last block; a network that timm does not group is one block.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from medray.errors import ConfigError
from medray.training.models.stage_pooling import StagePooling

BETWEEN = "-"  # a name that matches no group: timm puts it after the last one


@dataclass(frozen=True)
class Parts:
    """Names of a backbone's parameters and buffers, by block (counted from the image) and of the head."""

    blocks: tuple[tuple[str, ...], ...]
    head: tuple[str, ...]

    def frozen(self, trainable_blocks: int | None) -> frozenset[str]:
        """Return what is frozen while the head and the last `trainable_blocks` (None for all) are trained.

        Raises:
            ConfigError: there are fewer blocks.
        """
        if trainable_blocks is None:
            return frozenset()
        count = len(self.blocks)
        if trainable_blocks > count:
            raise ConfigError(f"{trainable_blocks}, but the backbone has {count}", key="trainable_blocks")
        return frozenset(name for block in self.blocks[: count - trainable_blocks] for name in block)


def parts_of(backbone: nn.Module) -> Parts:
    """Return the blocks and the head of a backbone, as this module's docstring defines them."""
    if isinstance(backbone, StagePooling):
        inner = parts_of(backbone.model)
        below = tuple(tuple(f"model.{name}" for name in block) for block in inner.blocks)
        own = [f"head.{n}" for n, _ in (*backbone.head.named_parameters(), *backbone.head.named_buffers())]
        return Parts(below, (*(f"model.{name}" for name in inner.head), *own))
    names = [name for name, _ in (*backbone.named_parameters(), *backbone.named_buffers())]
    prefix, stack = _stack(backbone)
    if stack is not None:
        blocks = [_under([prefix + child for child in stage], names) for stage in _stages(stack)]
    else:
        head = set(_under(classifier_names(backbone), names))
        blocks = _timm_blocks(backbone, [name for name in names if name not in head])
    blocks = [block for block in blocks if block]
    in_blocks = {name for block in blocks for name in block}
    return Parts(tuple(tuple(block) for block in blocks), tuple(name for name in names if name not in in_blocks))


def _under(modules: list[str], names: list[str]) -> list[str]:
    """Return the parameter names that lie in one of the modules."""
    return [name for name in names if any(name.startswith(f"{module}.") for module in modules)]


def _stack(backbone: nn.Module) -> tuple[str, nn.Sequential | None]:
    """Return the stack of layers that a backbone is, or has as its `features`, with its names' prefix."""
    if isinstance(backbone, nn.Sequential):
        return "", backbone
    features = getattr(backbone, "features", None)
    if isinstance(features, nn.Sequential) and not any(True for layer in features for _ in layer.children()):
        return "features.", features
    return "", None


def _stages(stack: nn.Sequential) -> Iterator[list[str]]:
    """Yield the layers of each stage: up to a pooling, or a residual block by itself."""
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
    """Return `names` by timm's coarse groups."""
    from timm.models._manipulate import group_with_matcher

    grouping: Any = getattr(backbone, "group_matcher", None)
    if grouping is None:
        return [names]
    matcher = grouping(coarse=True)
    groups = group_with_matcher(((name, name) for name in [*names, BETWEEN]), matcher, reverse=True)
    last = groups.pop(BETWEEN) - 1
    blocks: list[list[str]] = [[] for _ in range(last + 1)]
    for name, group in groups.items():
        blocks[min(group, last)].append(name)
    return blocks


def modules_before_training(module: nn.Module, frozen: Collection[str], prefix: str = "") -> list[str]:
    """Return the names of the modules before the first that has a tensor not in `frozen`, the largest possible.

    They are in the order in which they were registered. Dropout right before what is trained is not among them: it
    belongs to the head.
    """
    passed: list[str] = []
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        tensors = [n for n, _ in (*child.named_parameters(prefix=path), *child.named_buffers(prefix=path))]
        if all(tensor in frozen for tensor in tensors):
            passed.append(path)
            continue
        if not (child._parameters or child._buffers):  # else its own layer comes first, and is trained
            passed += modules_before_training(child, frozen, f"{path}.")
        break
    while passed and isinstance(module.get_submodule(passed[-1].removeprefix(prefix)), _DropoutNd):
        passed.pop()
    return passed


def classifier_names(backbone: nn.Module) -> list[str]:
    """Return the names of the modules that compute the logits: timm's classifier, else the last dense layer."""
    classifier: Any = getattr(backbone, "get_classifier", None)
    if classifier is not None:
        modules = classifier()
        layers = list(modules) if isinstance(modules, tuple | list | nn.ModuleList) else [modules]
        return [name for name, module in backbone.named_modules() if name and any(module is m for m in layers)]
    return [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear)][-1:]


def widen_head(backbone: nn.Module, width: int, dropout: float) -> None:
    """Put a hidden dense layer of `width` with ReLU and dropout before the one that computes the logits.

    Raises:
        ConfigError: the backbone has no such layer.
    """
    names = ["head.1"] if isinstance(backbone, StagePooling) else classifier_names(backbone)
    linear = backbone.get_submodule(names[0]) if len(names) == 1 else None
    if not isinstance(linear, nn.Linear):
        raise ConfigError("the backbone has no dense last layer to put a hidden one before", key="head_width")
    hidden, logits = nn.Linear(linear.in_features, width), nn.Linear(width, linear.out_features)
    backbone.set_submodule(names[0], nn.Sequential(hidden, nn.ReLU(), nn.Dropout(dropout), logits))
