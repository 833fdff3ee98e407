"""Where a backbone's starting weights come from: a safetensors file, or timm's hub.

Weights that are not available are an error; training from scratch never replaces them. A file has timm's names
(torchvision's for its AlexNet), or is one of medray's. Pickles are not read.
"""

import os
import socket
import warnings
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request, getproxies, urlopen

from torch import Tensor, nn

from medray.config import TrainConfig
from medray.errors import WeightsError, not_found_line, one_line, printable

#: Gives the tensors of a file as a backbone has them: (tensors, backbone) -> tensors.
Fit = Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]]
FOLDER = "MEDRAY_WEIGHTS"
PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".tar")


def weights_file(config: TrainConfig) -> Path | None:
    """Return the local file that a backbone starts from; None for fresh weights, or for timm's hub.

    It is `config.weights`, or BACKBONE.safetensors in that folder; for `pretrained` it is BACKBONE.safetensors in
    the folder that the environment variable MEDRAY_WEIGHTS names, if it exists.

    Raises:
        WeightsError: MEDRAY_WEIGHTS names no folder, or the folder in `weights` has no file of the backbone.
    """
    if config.weights is not None:
        path = Path(config.weights)
        if path.is_dir():
            path = path / file_name(config.backbone)
            if not path.is_file():  # the nearest other file is another backbone's, so none is suggested
                raise WeightsError(f"no such file: {printable(str(path))}", key="weights")
        return path
    folder = os.environ.get(FOLDER)
    if not config.pretrained or not folder:
        return None
    if not Path(folder).is_dir():
        raise WeightsError(f"{FOLDER} names no folder: {folder}", key="pretrained")
    path = Path(folder) / file_name(config.backbone)
    return path if path.is_file() else None


def file_name(backbone: str) -> str:
    """Return the name of a backbone's file in a folder of weights; torchvision's have no prefix there."""
    return f"{backbone.rpartition(':')[2]}.safetensors"


def weights_not_found(backbone: str, elsewhere: str) -> WeightsError:
    """Return the error for published weights that are neither in the local folder nor, as it says, `elsewhere`."""
    folder = os.environ.get(FOLDER)
    local = f"{Path(folder) / file_name(backbone)} does not exist" if folder else f"{FOLDER} names no folder"
    return WeightsError(
        f"the weights of {backbone} are not available: {local}, and {elsewhere}; nothing was trained from scratch "
        "instead: give a local file in `weights`, or `pretrained: false`",
        key="pretrained",
    )


def hub_answers() -> bool:
    """Return whether timm's hub can be reached within 3 seconds, by a proxy where there is one."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=3).close()
    except (OSError, ValueError, HTTPException):  # no such host, a proxy that refuses, an address that is none
        return False
    return True


def skip_hub_retries() -> None:
    """Use only the hub's local cache where its host does not answer: its client would retry for a minute."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT)
    if getproxies():
        return
    try:
        socket.create_connection((host.hostname or "", host.port or 443), timeout=3).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True


def check_weights_file(path: Path) -> None:
    """Check a weights file without reading it.

    Raises:
        WeightsError: it is missing, or a pickle.
    """
    if path.suffix in PICKLES:
        raise WeightsError(
            f"{path} is a pickle, which could run code; convert it by safetensors.torch.save_file("
            f"torch.load('{path.name}', weights_only=True), '{path.stem}.safetensors')",
            key="weights",
        )
    if not path.is_file():
        raise WeightsError(not_found_line("file", path), key="weights")


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
