"""Where in an image an ensemble sees a class: Grad-CAM (Selvaraju et al. 2017) of each member, averaged.

A map tells which places speak for a class in the networks' last feature maps, as coarse as those are (7×7
cells of a resnet18 at 224×224). It does not say that the answer is right.

Grad-CAM weighs a feature alike at all places. That is exact where a global average pooling follows, as in
resnets; a head that knows places, such as the dense one of the lenets, may take a feature for a class here and
against it there, and then the map can point away from what told the class. HiResCAM (Draelos & Carin 2020) weighs
it at each place on its own, which is the same in the first case and points to the right places in the second.

Each call runs private copies of the networks' modules, which share the memory of their weights: what other
threads run, also under `torch.inference_mode`, is not touched by hooks, gradients or modes, and nothing is
left behind. While a call runs, other threads may run or explain the same networks; they must not train them,
load weights into them, move them or change their modules.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medray._types import Array
from medray.errors import ConfigError, DataError, WeightsError, one_line, unknown_choice_line
from medray.training.loop import EVALUATION_PIXELS, to_input
from medray.training.models import MODELS, Network

GRAD_CAM, HIRES_CAM = METHODS = ("grad-cam", "hirescam")
POOLINGS = (
    nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.FractionalMaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
)  # fmt: skip
ROUNDING = 1e-6  # a map that is this small beside the terms of its sum is what float32 left of a zero


def class_activation(
    networks: Sequence[Network],
    weights: Sequence[float],
    images: Array,
    classes: Array,
    device: str = "cpu",
    *,
    method: str = GRAD_CAM,
) -> Array:
    """Show where the networks see a class, float32 (N, H, W) in 0..1, by Grad-CAM (Selvaraju et al. 2017).

    `images` are uint8 (N, H, W, C) and `classes` int64 (N,) the class that is explained for each. A network's
    map is relu(sum over channels k of a_k A_k): A is its last convolutional feature map before pooling that
    all of the answer comes of, a_k the mean over all places of the gradient of the class's logit by A_k; by
    the method "hirescam" (Draelos & Carin 2020) it is that gradient itself, of each place its own. The map is
    scaled up to H×W bilinearly and divided by its peak; where nothing speaks for the class it is 0 everywhere.
    Maps are averaged by `weights` and not stretched again: a peak below 1 tells that the networks differ.

    Raises:
        ConfigError: a network has no convolutional feature map or no usable weight, or the method is unknown.
        DataError: images or classes have another type or shape, there are none, or a network can't take them.
        WeightsError: a network gives NaN or infinity.
    """
    images, classes = np.asarray(images), np.asarray(classes)
    _check(images, classes)
    if method not in METHODS:
        raise ConfigError(unknown_choice_line("method", method, METHODS))
    heat = np.zeros(images.shape[:3])
    # A caller may be in inference mode, in which no gradient can be had.
    with torch.inference_mode(False), torch.enable_grad():
        for number, (network, share) in enumerate(zip(networks, _shares(weights, len(networks)), strict=True)):
            heat += share * _Member(network, number, device, method).activation(images, classes)
    return heat.clip(0.0, 1.0).astype(np.float32)


def _check(images: Array, classes: Array) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(f"images are {images.dtype} {images.shape}, not uint8 (N, H, W, C) of 1 or 3 channels")
    if not images.size:
        raise DataError(f"images are of shape {images.shape}: at least one with a pixel is needed")
    if classes.dtype != np.int64 or classes.shape != (len(images),):
        raise DataError(f"classes are {classes.dtype} {classes.shape}, not int64 ({len(images)},): one an image")


def _shares(weights: Sequence[float], networks: int) -> Array:
    """Weights as shares of 1."""
    given = np.asarray(weights, dtype=np.float64)
    if not networks or given.shape != (networks,):
        raise ConfigError(f"{networks} networks have {len(weights)} weights; each of one or more needs its own")
    if not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise ConfigError(f"weights are {', '.join(f'{w:g}' for w in given)}, not 0 or more with one above 0")
    shares: Array = given / given.sum()
    return shares


class _Member:
    """A private copy of one network, which watches its own feature maps."""

    def __init__(self, network: Network, number: int, device: str, method: str) -> None:
        self.method, self.device = method, torch.device(device)
        self.network = _private_copy(network, self.device).eval()
        backbone = self.network.get_submodule("backbone")
        self.watcher = _Watcher(backbone)
        self.name = f"network {number} ({type(backbone).__name__})"

    def activation(self, images: Array, classes: Array) -> Array:
        """The network's map, float32 (N, H, W) in 0..1; few images at once, of large ones fewer."""
        size = max(16, EVALUATION_PIXELS // (images.shape[1] * images.shape[2]))
        parts = []
        for start in range(0, len(images), size):
            chosen = slice(start, start + size)
            # Copies, as torch takes no read-only arrays.
            parts.append(self._batch(images[chosen].copy(), classes[chosen].copy()))
        return np.concatenate(parts)

    def _batch(self, images: Array, classes: Array) -> Array:
        logits = self._logits(images)
        while self.watcher.is_bypassed(logits):
            logits = self._logits(images)
        wrong = (classes < 0) | (classes >= logits.shape[1])
        if wrong.any():
            raise DataError(f"class {classes[wrong][0]} is none of {self.name}: 0 to {logits.shape[1] - 1} are")
        chosen = logits.gather(1, torch.from_numpy(classes).to(self.device)[:, None])
        found = self.watcher.found
        if found is None or not chosen.requires_grad:
            raise ConfigError(
                f"{self.name} has no convolutional feature map before its head, which Grad-CAM needs; what works: "
                f"{', '.join(MODELS)}, and timm's networks of convolutions, such as resnet18, efficientnet_b0, "
                "convnext_tiny, densenet121"
            )
        # Images do not mix in evaluation mode, so that the sum's gradient is each image's own.
        (slope,) = torch.autograd.grad(chosen.sum(), found)
        with torch.no_grad():
            return self._heat(found, slope, images.shape[1:3])

    def _logits(self, images: Array) -> Tensor:
        channels = self.network.get_buffer("normalise.mean").numel()
        if images.shape[3] != channels:  # one channel would become three unasked
            raise DataError(f"images have {images.shape[3]} channels; {self.name} takes {channels}")
        self.watcher.start(*images.shape[:3])
        try:
            logits: Tensor = self.network(to_input(images, self.device))
        except (RuntimeError, AssertionError) as error:  # torch's layers, and timm's checks
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise DataError(f"images {images.shape} do not fit {self.name}: {one_line(error)}") from error
        return logits

    def _heat(self, found: Tensor, slope: Tensor, size: tuple[int, ...]) -> Array:
        """The map from feature maps and the logit's gradient by them, both (n, channels, h, w)."""
        terms = found * (slope if self.method == HIRES_CAM else slope.mean(dim=(2, 3), keepdim=True))
        heat = terms.sum(dim=1, keepdim=True).relu()
        if not torch.isfinite(heat).all():
            raise WeightsError(f"{self.name} gives NaN or infinity: its weights are damaged")
        heat = F.interpolate(heat, size=size, mode="bilinear", align_corners=False)[:, 0]
        peak = heat.amax(dim=(1, 2), keepdim=True)
        least = ROUNDING * terms.abs().sum(dim=1).amax(dim=(1, 2), keepdim=True)
        scaled: Array = torch.where(peak > least, heat / peak, 0.0).cpu().numpy()
        return scaled


def _private_copy(network: Network, device: torch.device) -> Network:
    """Copy a network's modules; its weights are not copied, but shared without their gradients."""
    memo: dict[int, Any] = {}
    for tensor in [*network.parameters(), *network.buffers()]:
        # What was made in inference mode can't take part in a graph, its copy can.
        plain = (tensor.clone() if tensor.is_inference() else tensor.detach()).to(device)
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(plain, requires_grad=False) if is_parameter else plain
    return copy.deepcopy(network, memo)


class _Watcher:
    """Hooks that find a backbone's last convolutional feature map while it runs, and make it the graph's start.

    Every map (n, channels, h, w) that a module gives is cut off from what was before it, so that in the end the
    graph runs from the last one to the logits, and no weight needs a gradient. There is none where places live
    on in another form, as the tokens of a transformer do.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self.limit = math.inf  # how many maps, in their order, are cut off
        for module in backbone.modules():
            module.register_forward_hook(self._see)

    def start(self, images: int, height: int, width: int) -> None:
        """Get ready for so many images of that size."""
        self.images, self.height, self.width = images, height, width
        self.maps, self.convolved, self.tokens = 0, False, False
        self.last: Tensor | None = None
        self.done: tuple[Tensor, int] | None = None  # the tensor that was last dealt with, as it then was

    @property
    def found(self) -> Tensor | None:
        """The last feature map; None when there is none."""
        return None if self.tokens else self.last

    def is_bypassed(self, logits: Tensor) -> bool:
        """Whether a shortcut leads to the logits past the last map; if so, the next run ends before that."""
        if self.found is None or {id(start) for start in _graph_starts(logits)} <= {id(self.found)}:
            return False
        self.limit = min(self.limit, self.maps) - 1
        return True

    def _see(self, module: nn.Module, _: Any, output: object) -> Tensor | None:
        self.convolved |= isinstance(module, nn.Conv2d)
        if not isinstance(output, Tensor) or self._is_done(output):
            return None
        if not isinstance(module, POOLINGS):
            if self.convolved and self._is_map(output.shape):
                output = self._cut(output)
            elif sum(side > 1 for side in output.shape[1:]) > 1:
                self.tokens = True
        self.done = output, output._version
        return output

    def _cut(self, output: Tensor) -> Tensor:
        self.maps, self.tokens = self.maps + 1, False
        if self.maps > self.limit:
            return output
        self.last = output.detach().requires_grad_()
        return self.last.clone()  # the next layer may work in place

    def _is_done(self, output: Tensor) -> bool:
        """Whether a container gives what its last module gave; a tensor changed in place is another."""
        return self.done is not None and output is self.done[0] and output._version == self.done[1]

    def _is_map(self, shape: torch.Size) -> bool:
        """Whether it is (n, channels, h, w) of more than one place; (n, h, w, channels) has not one stride."""
        if len(shape) != 4 or shape[0] != self.images or shape[2] * shape[3] == 1:
            return False
        (low, high), (left, right) = _strides(self.height, shape[2]), _strides(self.width, shape[3])
        return low < right and left < high


def _graph_starts(end: Tensor) -> list[Tensor]:
    """The tensors that the graph of `end` starts from."""
    starts, seen, todo = [], set(), [end.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        starts += [node.variable] if hasattr(node, "variable") else []
        todo += [before for before, _ in node.next_functions]
    return starts


def _strides(before: int, after: int) -> tuple[float, float]:
    """The strides between which a side of `before` becomes one of `after`, rounded up or down."""
    return before / (after + 1), before / (after - 1) if after > 1 else math.inf
