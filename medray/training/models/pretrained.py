"""Load a file of weights into a backbone, of timm's names (torchvision's for its AlexNet) or of medray's."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from medray.errors import WeightsError, one_line
from medray.weights import check_weights_file

#: Gives the tensors of a file as a backbone has them: (tensors, backbone) -> tensors.
Fit = Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]]


class Loaded(NamedTuple):
    """What a file gave besides the backbone's tensors.

    `statistics` are the mean and deviation (C,) by which its network normalises, of a file of medray's;
    `head` says that its last layers are in use, too.
    """

    statistics: tuple[Tensor, Tensor] | None
    head: bool


def load_backbone(backbone: nn.Module, path: Path, head: Sequence[str], fit: Fit | None = None) -> Loaded:
    """Load a safetensors file into a backbone; `head` names the modules of its last layers.

    Where names or shapes differ, `fit` is asked for the tensors as this backbone has them: a position embedding
    for images of another size.

    A head with another number of classes, or of another form, stays fresh. A first convolution of colour becomes
    one of grey by its sum over the colours, as in timm.

    Raises:
        WeightsError: the file is missing, damaged or a pickle, or holds another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_weights_file(path)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file: {one_line(error)}", key="weights") from None
    statistics = [tensors[name].flatten() for name in ("normalise.mean", "normalise.std") if name in tensors]
    if any(name.startswith("backbone.") for name in tensors):
        tensors = {n.removeprefix("backbone."): t for n, t in tensors.items() if n.startswith("backbone.")}
    if any(name.startswith("model.") for name in tensors):  # one that pools its stages
        tensors = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    expected = backbone.state_dict()
    tensors = _without_unfit_head(_in_grey(tensors, expected), expected, head)
    if fit is not None and _shapes(tensors) != _shapes(expected):
        tensors = _without_unfit_head(_fitted(tensors, backbone, fit), expected, head)
    _check_same_network(tensors, expected, head, path)
    backbone.load_state_dict(tensors, strict=False)
    has_head = any(_in_modules(name, head) for name in tensors)
    return Loaded((statistics[0], statistics[1]) if len(statistics) == 2 else None, has_head)


def _fitted(tensors: dict[str, Tensor], backbone: nn.Module, fit: Fit) -> dict[str, Tensor]:
    """Return what `fit` makes of tensors, which stay where convolutions differ: they are another network's."""
    expected = backbone.state_dict()
    if any(t.ndim == 4 and n in expected and t.shape != expected[n].shape for n, t in tensors.items()):
        return tensors
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of timm's own interpolation
            return fit(tensors, backbone)
    except (AttributeError, KeyError, IndexError, RuntimeError, ValueError):  # it meets names of another network
        return tensors


def _in_grey(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors, with the first convolution summed over the colours if the backbone takes grey images."""
    first = next((name for name, tensor in expected.items() if tensor.ndim == 4), None)
    if first is None or expected[first].shape[1] != 1 or first not in tensors or tensors[first].shape[1:2] != (3,):
        return dict(tensors)
    return {**tensors, first: tensors[first].sum(dim=1, keepdim=True)}


def _without_unfit_head(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], head: Sequence[str]
) -> dict[str, Tensor]:
    """Return the tensors without those of the head, unless all of these fit."""

    of_head, needed = (
        _shapes({n: t for n, t in named.items() if _in_modules(n, head)}) for named in (tensors, expected)
    )
    if of_head == needed:
        return dict(tensors)
    return {name: tensor for name, tensor in tensors.items() if not _in_modules(name, head)}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _in_modules(name: str, modules: Sequence[str]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)


def _check_same_network(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], head: Sequence[str], path: Path
) -> None:
    # Older files do not count BatchNorm's batches, and nothing depends on it.
    needed = [n for n in expected if not _in_modules(n, head) and not n.endswith("num_batches_tracked")]
    missing = [f"{n} of shape {tuple(expected[n].shape)}" for n in needed if n not in tensors]
    misshapen = [
        f"{n} of shape {tuple(tensors[n].shape)}, not {tuple(t.shape)}"
        for n, t in expected.items()
        if n in tensors and t.shape != tensors[n].shape
    ]
    surplus = [n for n in tensors if n not in expected]
    for verb, names in (("lacks", missing), ("holds", misshapen), ("holds", surplus)):
        if names:
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            problem = f"{path} is of another network: it {verb} {'; '.join(names[:2])}{more}"
            raise WeightsError(problem, key="weights")
