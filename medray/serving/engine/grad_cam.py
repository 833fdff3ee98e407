"""Class activation maps of an ensemble: Grad-CAM (Selvaraju et al. 2017) or HiResCAM of each member, averaged.

A map shows where the networks' last feature maps speak for a class, with the resolution of those (7×7 cells of a
resnet18 at 224×224). It does not show that the answer is right.

Grad-CAM gives a feature the same weight at every position. That is exact where a global average pooling follows,
as in resnets. A head that knows positions, such as the dense one of the lenets, may count a feature for a class
here and against it there; the map may then point to the wrong position. HiResCAM (Draelos & Carin 2020) weighs a
feature at each position on its own: the same map in the first case, the right positions in the second.

Of a network with a link, a map shows what speaks for the grade or more, and of the lowest grade what speaks for
it: a grade in the middle has its highest probability where nothing speaks for more or less, and no gradient there.

Of a network whose head sees the mean of every stage (`StagePooling`), the logit is a sum over the positions of all
stages, and the map is that sum: each stage's own part, brought to the size of the largest one. The mirror image's
half is turned back.

Each call runs private copies of the networks' modules, which share the memory of the weights: hooks, gradients and
modes do not touch other threads, also under `torch.inference_mode`, and nothing is left behind. Meanwhile other
threads may run or explain the same networks; they must not train them, load weights into them, move them or change
their modules.
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
from medray.serving.engine.stage_maps import StageMaps
from medray.training.images import EVALUATION_PIXELS, evaluation_batch, to_input
from medray.training.models import MODELS, Network
from medray.training.models.stage_pooling import StagePooling

GRAD_CAM, HIRES_CAM = METHODS = ("grad-cam", "hirescam")
POOLINGS = (
    nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.FractionalMaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
)  # fmt: skip
ROUNDING = 1e-6  # a map this small beside the terms of its sum is a zero in float32


def class_activation(
    networks: Sequence[Network],
    weights: Sequence[float],
    images: Array,
    classes: Array,
    device: str = "cpu",
    *,
    method: str = GRAD_CAM,
) -> Array:
    """Return the networks' maps of a class, averaged, float32 (N, H, W) in 0..1.

    `images` are uint8 (N, H, W, C), `classes` int64 (N,) are the classes to explain. A network's map is
    relu(sum over channels k of a_k A_k): A is the last convolutional feature map before pooling on which the whole
    answer depends, a_k the mean over all positions of the gradient of the class's logit with respect to A_k. With
    the method "hirescam" (Draelos & Carin 2020) a_k is that gradient itself at each position. The map is scaled to
    H×W bilinearly and divided by its peak; where nothing speaks for the class it is 0 everywhere. Maps are
    averaged by `weights` and not rescaled: a peak below 1 means that the networks differ.

    Raises:
        ConfigError: a network has no convolutional feature map or no usable weight, or the method is unknown.
        DataError: images or classes have another type or shape, there are none, or a network can't take them.
        WeightsError: a network gives NaN or infinity.
    """
    images, classes = np.asarray(images), np.asarray(classes)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(f"images are {images.dtype} {images.shape}, not uint8 (N, H, W, C) of 1 or 3 channels")
    if not images.size:
        raise DataError(f"images are of shape {images.shape}: at least one with a pixel is needed")
    if classes.dtype != np.int64 or classes.shape != (len(images),):
        raise DataError(f"classes are {classes.dtype} {classes.shape}, not int64 ({len(images)},): one an image")
    if method not in METHODS:
        raise ConfigError(unknown_choice_line("method", method, METHODS))
    heat = np.zeros(images.shape[:3])
    # A caller may be in inference mode, in which no gradient can be had.
    with torch.inference_mode(False), torch.enable_grad():
        for index, (network, share) in enumerate(zip(networks, _shares(weights, len(networks)), strict=True)):
            heat += share * _Member(network, index, device, method).activation(images, classes)
    return heat.clip(0.0, 1.0).astype(np.float32)


def _shares(weights: Sequence[float], networks: int) -> Array:
    """Return weights as shares of 1."""
    values = np.asarray(weights, dtype=np.float64)
    if not networks or values.shape != (networks,):
        raise ConfigError(f"{networks} networks have {len(weights)} weights; each of one or more needs its own")
    if not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise ConfigError(f"weights are {', '.join(f'{w:g}' for w in values)}, not 0 or more with one above 0")
    shares: Array = values / values.sum()
    return shares


class _Member:
    """A private copy of one network, with hooks on its feature maps."""

    def __init__(self, network: Network, index: int, device: str, method: str) -> None:
        self.method, self.device = method, torch.device(device)
        self.network = _private_copy(network, self.device).eval()
        backbone = self.network.get_submodule("backbone")
        self.watcher: _Watcher | StageMaps
        if isinstance(backbone, StagePooling):
            self.watcher = StageMaps(backbone)
            self.network.add_module("backbone", self.watcher)
        else:
            self.watcher = _Watcher(backbone)
        self.name = f"network {index} ({type(backbone).__name__})"

    def activation(self, images: Array, classes: Array) -> Array:
        """Return the network's maps, float32 (N, H, W) in 0..1; fewer images at once where they are large."""
        size = evaluation_batch(self.network, images.shape[1:], EVALUATION_PIXELS)
        parts = []
        for start in range(0, len(images), size):
            batch = slice(start, start + size)
            # Copies, as torch takes no read-only arrays.
            parts.append(self._activation_of_batch(images[batch].copy(), classes[batch].copy()))
        return np.concatenate(parts)

    def _activation_of_batch(self, images: Array, classes: Array) -> Array:
        logits = self._logits(images)
        while isinstance(self.watcher, _Watcher) and self.watcher.is_bypassed(logits):
            logits = self._logits(images)
        wrong = (classes < 0) | (classes >= logits.shape[1])
        if wrong.any():
            raise DataError(f"class {classes[wrong][0]} is none of {self.name}: 0 to {logits.shape[1] - 1} are")
        explained = self._explained(logits, torch.from_numpy(classes).to(self.device)[:, None])
        maps = self.watcher.maps
        if not maps or not explained.requires_grad:
            raise ConfigError(
                f"{self.name} has no convolutional feature map before its head, which Grad-CAM needs; what works: "
                f"{', '.join(MODELS)}, and timm's networks of convolutions, such as resnet18, efficientnet_b0, "
                "convnext_tiny, densenet121"
            )
        # Images do not mix in evaluation mode, so the gradient of the sum holds that of each image.
        gradients = torch.autograd.grad(explained.sum(), maps)
        with torch.no_grad():
            return self._heat(maps, gradients, images.shape[1:3])

    def _logits(self, images: Array) -> Tensor:
        channels = self.network.get_buffer("normalise.mean").numel()
        if images.shape[3] != channels:  # one channel would become three unasked
            raise DataError(f"images have {images.shape[3]} channels; {self.name} takes {channels}")
        if isinstance(self.watcher, _Watcher):
            self.watcher.start(len(images), *self.network.input_size((images.shape[1], images.shape[2])))
        try:
            logits: Tensor = self.network(to_input(images, self.device))
        except (RuntimeError, AssertionError) as error:  # torch's layers, and timm's checks
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise DataError(f"images {images.shape} do not fit {self.name}: {one_line(error)}") from error
        return logits

    def _explained(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Return the logit (n, 1) of each image's class (n, 1), or behind a link the log-odds of it or more."""
        if "link" not in self.network._modules:
            return logits.gather(1, classes)
        cut = classes.clamp_min(1)  # the lowest grade is what speaks against the next
        above = torch.arange(logits.shape[1], device=self.device) >= cut
        odds = logits.masked_fill(~above, -math.inf).logsumexp(1) - logits.masked_fill(above, -math.inf).logsumexp(
            1
        )
        return torch.where(classes[:, 0] > 0, odds, -odds)[:, None]

    def _heat(self, maps: Sequence[Tensor], gradients: Sequence[Tensor], size: tuple[int, ...]) -> Array:
        """Return maps from feature maps and the logits' gradients, each (n, channels, h, w)."""
        sums, sizes = [], []
        for features, gradient in zip(maps, gradients, strict=True):
            factors = gradient if self.method == HIRES_CAM else gradient.mean(dim=(2, 3), keepdim=True)
            terms = features * factors
            sums.append(terms.sum(dim=1, keepdim=True))
            sizes.append(terms.abs().sum(dim=1, keepdim=True))
        heat, least = self._together(sums).relu(), ROUNDING * self._together(sizes).amax(dim=(2, 3))
        if not torch.isfinite(heat).all():
            raise WeightsError(f"{self.name} gives NaN or infinity: its weights are damaged")
        heat = F.interpolate(heat, size=size, mode="bilinear", align_corners=False)[:, 0]
        peak = heat.amax(dim=(1, 2), keepdim=True)
        scaled: Array = torch.where(peak > least[:, :, None], heat / peak, 0.0).cpu().numpy()
        return scaled

    def _together(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the sum of parts (n, 1, h, w) of all sizes at the largest one, each with its own total."""
        if isinstance(self.watcher, StageMaps) and self.watcher.mirrored:
            halves = [part.chunk(2) for part in parts]
            parts = [upright + mirrored.flip(3) for upright, mirrored in halves]
        largest = max(parts, key=lambda part: part[0].numel())
        total = torch.zeros_like(largest)
        for part in parts:
            spread = F.interpolate(part, size=largest.shape[2:], mode="bilinear", align_corners=False)
            total += spread * (part[0].numel() / largest[0].numel())
        return total


def _private_copy(network: Network, device: torch.device) -> Network:
    """Copy a network's modules; its weights are shared, without gradients."""
    memo: dict[int, Any] = {}
    for tensor in [*network.parameters(), *network.buffers()]:
        # A tensor made in inference mode can't take part in a graph, its copy can.
        shared = (tensor.clone() if tensor.is_inference() else tensor.detach()).to(device)
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(shared, requires_grad=False) if is_parameter else shared
    return copy.deepcopy(network, memo)


class _Watcher:
    """Hooks that find a backbone's last convolutional feature map while it runs, and make it the graph's start.

    Every map (n, channels, h, w) that a module returns is detached from the graph before it, so that in the end
    the graph runs from the last one to the logits, and no weight needs a gradient. There is no map where positions
    live on in another form, as in the tokens of a transformer.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self.limit = math.inf  # the number of maps, in their order, that are detached
        for module in backbone.modules():
            module.register_forward_hook(self._on_output)

    def start(self, images: int, height: int, width: int) -> None:
        """Prepare for a run on this number of images of this size."""
        self.images, self.height, self.width = images, height, width
        self.number, self.convolved, self.tokens = 0, False, False  # of maps so far
        self.last: Tensor | None = None
        self.done: tuple[Tensor, int] | None = None  # the tensor handled last, and its version then

    @property
    def maps(self) -> list[Tensor]:
        """The last feature maps, none where there are none."""
        return [] if self.tokens or self.last is None else [self.last]

    def is_bypassed(self, logits: Tensor) -> bool:
        """Return whether a shortcut leads past the last map to the logits; the next run then ends before it."""
        starts = {id(start) for start in _graph_starts(logits)}
        if not self.maps or starts <= {id(self.last)}:
            return False
        self.limit = min(self.limit, self.number) - 1
        return True

    def _on_output(self, module: nn.Module, _: Any, output: object) -> Tensor | None:
        self.convolved |= isinstance(module, nn.Conv2d)
        # A container returns its last module's output; a tensor that was changed in place is another one.
        is_done = self.done is not None and output is self.done[0] and output._version == self.done[1]
        if not isinstance(output, Tensor) or is_done:
            return None
        if not isinstance(module, POOLINGS):
            if self.convolved and self._is_map(output.shape):
                self.number, self.tokens = self.number + 1, False
                if self.number <= self.limit:
                    self.last = output.detach().requires_grad_()
                    output = self.last.clone()  # the next layer may work in place
            elif sum(side > 1 for side in output.shape[1:]) > 1:
                self.tokens = True
        self.done = output, output._version
        return output

    def _is_map(self, shape: torch.Size) -> bool:
        """Return whether it is (n, channels, h, w) with h·w > 1; (n, h, w, channels) has no common stride."""
        if len(shape) != 4 or shape[0] != self.images or shape[2] * shape[3] == 1:
            return False
        (low, high), (left, right) = _strides(self.height, shape[2]), _strides(self.width, shape[3])
        return low < right and left < high


def _graph_starts(end: Tensor) -> list[Tensor]:
    """Return the tensors that the graph of `end` starts from."""
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
    """Return the strides by which a side of `before` becomes one of `after`, rounded up or down."""
    return before / (after + 1), before / (after - 1) if after > 1 else math.inf
