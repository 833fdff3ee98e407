"""Networks rewritten for inference on a CPU: the same function in fewer and faster steps.

Dropout goes, BatchNorm is folded into the layer before it, networks of one architecture become one with grouped
convolutions, and convolutions take their weights in the layout that oneDNN wants, with the ReLU and the addition
that follow them. Nothing is approximated: the answers differ by rounding only.
"""

import copy
import logging
import operator
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from medray.training.models import one_line

log = logging.getLogger(__name__)
TRACING = threading.Lock()  # torch.fx puts back what it swapped: of two at once, one would put back the other's

STACKED_PIXELS = 5 * 28 * 28  # of an image, times networks: beyond that the caches overflow
STACKED_CONVOLUTIONS = 5  # fewer, and the calls saved are outweighed by kernels that suit groups less
# What works on each channel by itself; only these exact types, as a subclass may do more.
SPATIAL = (nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
RELU = (torch.relu, nn.functional.relu)
ADD = (operator.add, operator.iadd)
ELEMENTWISE = (*RELU, *ADD, operator.sub, operator.truediv)


def fuse(
    networks: Sequence[nn.Module], example: Tensor, parts: int
) -> Iterator[tuple[fx.GraphModule, tuple[int, ...]]]:
    """Yield graphs that answer for the networks, and which ones: images (n, C, H, W) to (n, networks · classes).

    Networks of one architecture are spread over `parts` graphs, or more where many are of large images. Those
    that can't be fused are left out, which a warning in the log tells. `example` is one image (1, C, H, W).
    """
    alike: dict[str, dict[int, fx.GraphModule]] = {}
    for index, network in enumerate(networks):
        try:
            graph = simplify(network, example)
            alike.setdefault(str(graph), {})[index] = graph  # as text: its layers and steps, without weights
        except Exception as error:  # torch.fx may say anything of a network
            warn((index,), one_line(error))
    for graphs in alike.values():
        indices = np.array(list(graphs))
        count = max(parts, -(-len(indices) * example[0, 0].numel() // STACKED_PIXELS))
        if not can_stack(graphs[indices[0]]):
            count = len(indices)
        for chosen in np.array_split(indices, min(count, len(indices))):
            members = tuple(chosen.tolist())
            try:
                yield pack(stack([graphs[index] for index in members])), members
            except Exception as error:  # of operators that torch keeps for itself
                warn(members, one_line(error))


def warn(members: Sequence[int], why: str) -> None:
    """Say in the log which members are not fused, and why."""
    log.warning("members %s of the ensemble run unfused, so slower: %s", ", ".join(map(str, members)), why)


def simplify(network: nn.Module, example: Tensor) -> fx.GraphModule:
    """Return the graph of a network in evaluation mode, without dropout and with BatchNorm folded; a copy.

    Its nodes know the shapes that they have for `example`, one image (1, C, H, W). Other threads may run networks
    meanwhile.

    Raises:
        Exception: torch.fx can't trace the network, in one of many ways.
    """
    root = copy.deepcopy(network).eval().requires_grad_(False)
    with TRACING:
        graph = fx.GraphModule(root, _OwnThread().trace(root))
    for node in graph.graph.nodes:
        module = _module(graph, node)
        if type(module) in (nn.Dropout, nn.Identity) or _is_idle_dropout(node):
            _drop(graph, node, node.args[0])
        elif type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            _fold(graph, node)
    _Shapes(graph).run(example)
    return _cleaned(graph)


class _OwnThread(fx.Tracer):
    """Traces what its own thread runs. torch.fx swaps the call of every module there is while it traces."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Note a module's call, or let it pass where another thread's network made it."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Note a parameter's use, or let it pass likewise."""
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def _fold(graph: fx.GraphModule, node: fx.Node) -> None:
    """Fold a BatchNorm into the convolution or linear layer whose only reader it is."""
    before, norm = node.args[0], _module(graph, node)
    assert isinstance(before, fx.Node)
    layer = _module(graph, before)
    if len(before.users) > 1 or type(layer) not in (nn.Conv2d, nn.Linear):
        return
    fold = fuse_conv_bn_eval if isinstance(layer, nn.Conv2d) else fuse_linear_bn_eval
    graph.set_submodule(str(before.target), fold(layer, norm))  # type: ignore[type-var, arg-type]
    _drop(graph, node, before)


# -- several networks in one


def can_stack(graph: fx.GraphModule) -> bool:
    """Whether `stack` knows every step of a graph that `simplify` made, and is worth it."""
    convolutions = [node for node in graph.graph.nodes if _plain_convolution(_module(graph, node))]
    known = all(_stackable(graph, node) for node in graph.graph.nodes)
    return known and len(convolutions) >= STACKED_CONVOLUTIONS


def _stackable(graph: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        module = _module(graph, node)
        if type(module) is nn.Flatten:
            return (module.start_dim, module.end_dim) == (1, -1)
        if type(module) is nn.Linear:  # its features must be those of one image
            return len(_shape(node.args[0])) == 2
        return type(module) in SPATIAL or _plain_convolution(module)
    if node.op == "get_attr":
        shape = _attribute(graph, node).shape
        return len(shape) == 4 and shape[0] == 1
    return node.op in ("placeholder", "output") or (node.op == "call_function" and node.target in ELEMENTWISE)


def stack(graphs: Sequence[fx.GraphModule]) -> fx.GraphModule:
    """Make one graph of several that differ in their weights only, and that `can_stack` has approved of.

    Features of member m lie behind those of member m - 1; so do the logits, (n, members · classes).
    """
    whole = graphs[0]
    if len(graphs) == 1:
        return whole
    whole = copy.deepcopy(whole)
    for node in whole.graph.nodes:
        modules = [_module(graph, node) for graph in graphs]
        if node.op == "placeholder":
            with whole.graph.inserting_after(node):
                repeated = whole.graph.call_method("repeat", (node, 1, len(graphs), 1, 1))
            node.replace_all_uses_with(repeated, delete_user_cb=lambda user, own=repeated: user is not own)
        elif node.op == "get_attr":
            owner, _, name = str(node.target).rpartition(".")
            joined = torch.cat([_attribute(graph, node) for graph in graphs], dim=1)
            setattr(whole.get_submodule(owner), name, joined)
        elif isinstance(modules[0], nn.Conv2d):
            whole.set_submodule(str(node.target), _grouped(modules))  # type: ignore[arg-type]
        elif isinstance(modules[0], nn.Linear):
            whole.set_submodule(str(node.target), _Linears(modules))  # type: ignore[arg-type]
    return _cleaned(whole)


def _grouped(layers: Sequence[nn.Conv2d]) -> nn.Conv2d:
    one, members = layers[0], len(layers)
    joined = copy.deepcopy(one)
    joined.in_channels, joined.out_channels = one.in_channels * members, one.out_channels * members
    joined.groups = one.groups * members
    joined.weight = nn.Parameter(torch.cat([layer.weight for layer in layers]), requires_grad=False)
    if one.bias is not None:
        biases = [layer.bias for layer in layers if layer.bias is not None]
        joined.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
    return joined


class _Linears(nn.Module):
    """Linear layers side by side, (n, members · features) to (n, members · outputs); faster than torch.baddbmm."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.layers = [(layer.weight, layer.bias) for layer in layers]

    def forward(self, x: Tensor) -> Tensor:
        """Give each layer its own features."""
        parts = zip(x.chunk(len(self.layers), dim=1), self.layers, strict=True)
        return torch.cat([nn.functional.linear(part, *layer) for part, layer in parts], dim=1)


# -- convolutions of oneDNN


def pack(graph: fx.GraphModule) -> fx.GraphModule:
    """Give a graph on the CPU oneDNN's own convolutions, as torch.compile does where it freezes weights; in place.

    Raises:
        AttributeError, RuntimeError: torch was built without oneDNN, or its operators have changed.
    """
    place = {node: index for index, node in enumerate(graph.graph.nodes)}
    for node in place:
        module = _module(graph, node)
        if not _plain_convolution(module):
            continue
        added = _addition(graph, node, place)
        relu = _sole_user(added or node)
        relu = relu if relu is not None and _is_relu(graph, relu) else None
        graph.set_submodule(str(node.target), _PackedConv2d(module, relu is not None))
        if added is not None:
            node.args = (node.args[0], *(arg for arg in added.args if arg is not node))
        for step in (relu, added):
            if step is not None:
                _drop(graph, step, node)
    return _direct(_cleaned(graph))


def _addition(graph: fx.GraphModule, node: fx.Node, place: Mapping[fx.Node, int]) -> fx.Node | None:
    """The addition that alone reads a convolution, where that may write its sum over the other term.

    So the other term must be there already, in memory of its own, and nothing may read it later.
    """
    added = _sole_user(node)
    others = [] if added is None or added.target not in ADD else [arg for arg in added.args if arg is not node]
    if len(others) != 1 or not isinstance(others[0], fx.Node) or others[0] is node.args[0]:
        return None
    other = others[0]
    readers = [user for user in other.users if user is not added]
    own = isinstance(_module(graph, other), OWN_MEMORY) and all(
        isinstance(_module(graph, reader), OWN_MEMORY) and place[reader] < place[node] for reader in readers
    )
    return added if own and place[other] < place[node] and _shape(other) == _shape(node) else None


class _PackedConv2d(nn.Module):
    """A convolution with its weights in oneDNN's layout, and ReLU after it if `relu`."""

    def __init__(self, layer: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self.alone = torch.ops.mkldnn._convolution_pointwise.default
        self.onto = torch.ops.mkldnn._convolution_pointwise_.binary
        geometry = (list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups)
        packed = torch._C._nn.mkldnn_reorder_conv2d_weight(layer.weight.detach().to_mkldnn(), *geometry)
        self.layer = (packed, None if layer.bias is None else layer.bias.detach(), *geometry)
        self.after_alone: tuple[object, ...] = ("relu" if relu else "none", [], None)
        self.after_sum: tuple[object, ...] = ("relu" if relu else None, [], None)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Convolve (n, C, H, W); with `other`, add to that in place."""
        if other is None:
            found: Tensor = self.alone(x, *self.layer, *self.after_alone)
        else:
            found = self.onto(other, x, *self.layer, "add", 1.0, *self.after_sum)
        return found


OWN_MEMORY = (nn.Conv2d, nn.MaxPool2d, _PackedConv2d)  # neither their result nor what they read is a view of more


def _direct(graph: fx.GraphModule) -> fx.GraphModule:
    """Let a graph run its layers' `forward` itself: calling a module costs as much as a small layer."""
    for number, node in enumerate(graph.graph.nodes):
        module = _module(graph, node)
        if module is not None:
            node.target = f"step{number}"
            graph.__dict__[node.target] = module.forward
    graph.recompile()
    return graph


# -- what nodes are


def _module(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def _attribute(graph: fx.GraphModule, node: fx.Node) -> Tensor:
    owner, _, name = str(node.target).rpartition(".")
    found: Tensor = getattr(graph.get_submodule(owner), name)
    return found


class _Shapes(fx.Interpreter):
    """Notes the shape of every tensor; torch's own ShapeProp would take a second to import."""

    def run_node(self, n: fx.Node) -> object:
        found = super().run_node(n)
        n.meta["shape"] = tuple(getattr(found, "shape", ()))
        return found


def _shape(node: object) -> tuple[int, ...]:
    return node.meta.get("shape", ()) if isinstance(node, fx.Node) else ()


def _plain_convolution(module: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    return type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str)


def _is_idle_dropout(node: fx.Node) -> bool:
    return node.target is nn.functional.dropout and node.kwargs.get("training") is False


def _is_relu(graph: fx.GraphModule, node: fx.Node) -> bool:
    return node.target in RELU or type(_module(graph, node)) is nn.ReLU


def _sole_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _drop(graph: fx.GraphModule, node: fx.Node, instead: fx.Node) -> None:
    node.replace_all_uses_with(instead)
    graph.graph.erase_node(node)


def _cleaned(graph: fx.GraphModule) -> fx.GraphModule:
    graph.delete_all_unused_submodules()
    graph.graph.lint()
    graph.recompile()
    return graph
