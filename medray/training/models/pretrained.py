"""Where a backbone's starting weights come from: a safetensors file, or timm's hub; never from scratch instead.

A file has timm's own names (torchvision's for its AlexNet), or is one of medray's. Pickles are not read.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from torch import Tensor, nn

from medray.config import TrainConfig
from medray.errors import WeightsError, not_found_line, one_line, printable

FOLDER = "MEDRAY_WEIGHTS"
PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".tar")


def weights_file(config: TrainConfig) -> Path | None:
    """The local file that the backbone of `config` starts from; None for fresh weights, or for timm's hub.

    It is `config.weights`, or BACKBONE.safetensors in that folder; for `pretrained` it is that file in the
    folder of the environment variable MEDRAY_WEIGHTS, if it is there.

    Raises:
        WeightsError: MEDRAY_WEIGHTS names no folder, or the folder in `weights` has no file of the backbone.
    """
    if config.weights is not None:
        given = Path(config.weights)
        return _in_folder(given, config.backbone) if given.is_dir() else given
    folder = os.environ.get(FOLDER)
    if not config.pretrained or not folder:
        return None
    if not Path(folder).is_dir():
        raise WeightsError(f"pretrained: {FOLDER} names no folder: {folder}")
    path = Path(folder) / file_name(config.backbone)
    return path if path.is_file() else None


def _in_folder(folder: Path, backbone: str) -> Path:
    """The backbone's file; the nearest other file would be another backbone's, so none is suggested."""
    path = folder / file_name(backbone)
    if not path.is_file():
        raise WeightsError(f"weights: no such file: {printable(str(path))}")
    return path


def file_name(backbone: str) -> str:
    """Name of a backbone's file in a folder of weights; torchvision's have no prefix there."""
    return f"{backbone.rpartition(':')[2]}.safetensors"


def not_found(backbone: str, where_else: str) -> WeightsError:
    """Make the error that says where the weights of `backbone` were looked for; `where_else` beside the folder."""
    folder = os.environ.get(FOLDER)
    local = f"{Path(folder) / file_name(backbone)} does not exist" if folder else f"{FOLDER} names no folder"
    return WeightsError(
        f"pretrained: the weights of {backbone} can't be had: {local}, and {where_else}; nothing was trained from "
        "scratch instead: give a local file in `weights`, or `pretrained: false`"
    )


def skip_hub_retries() -> None:
    """Where the hub's host has no answer, look only into its cache: its client would retry for a minute."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT)
    if getproxies():
        return
    try:
        socket.create_connection((host.hostname or "", host.port or 443), timeout=3).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True


def check_weights_file(path: Path) -> None:
    """Check that a file of weights is there, and no pickle.

    Raises:
        WeightsError: it is not, or it is.
    """
    if path.suffix in PICKLES:
        raise WeightsError(
            f"weights: {path} is a pickle, which could run code; convert it by safetensors.torch.save_file("
            f"torch.load('{path.name}', weights_only=True), '{path.stem}.safetensors')"
        )
    if not path.is_file():
        raise WeightsError(f"weights: {not_found_line('file', path)}")


def load_backbone(backbone: nn.Module, path: Path, head: Sequence[str]) -> None:
    """Load a safetensors file into a backbone, whose last layers are those named in `head`.

    A head of another number of classes, or of another form, stays fresh. A first convolution of colour becomes
    one of grey by its sum over the colours, as timm does it.

    Raises:
        WeightsError: the file is missing, damaged or a pickle, or holds another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_weights_file(path)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"weights: {path} is no safetensors file: {one_line(error)}") from None
    # Ours carry the normalisation too, which belongs to other images.
    if any(name.startswith("backbone.") for name in tensors):
        tensors = {n.removeprefix("backbone."): t for n, t in tensors.items() if n.startswith("backbone.")}
    own = backbone.state_dict()
    tensors = _without_unfit_head(_grey(tensors, own), own, head)
    _check_names(tensors, own, head, path)
    backbone.load_state_dict(tensors, strict=False)


def _grey(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sum the first convolution over the colours, where our images have none."""
    first = next((name for name, tensor in own.items() if tensor.ndim == 4), None)
    if first is None or first not in tensors or own[first].shape[1] != 1 or tensors[first].shape[1:2] != (3,):
        return dict(tensors)
    return {**tensors, first: tensors[first].sum(dim=1, keepdim=True)}


def _without_unfit_head(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], head: Sequence[str]
) -> dict[str, Tensor]:
    """Leave the head out, unless all of it fits."""

    def shapes(named: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in named.items() if _in(name, head)}

    if shapes(tensors) == shapes(own):
        return dict(tensors)
    return {name: tensor for name, tensor in tensors.items() if not _in(name, head)}


def _in(name: str, modules: Sequence[str]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)


def _check_names(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], head: Sequence[str], path: Path
) -> None:
    # Older files do not count BatchNorm's batches, and nothing depends on it.
    needed = [n for n in own if not _in(n, head) and not n.endswith("num_batches_tracked")]
    lacking = [f"{n} of shape {tuple(own[n].shape)}" for n in needed if n not in tensors]
    unlike = [
        f"{n} of shape {tuple(tensors[n].shape)}, not {tuple(t.shape)}"
        for n, t in own.items()
        if n in tensors and t.shape != tensors[n].shape
    ]
    surplus = [n for n in tensors if n not in own]
    for verb, found in (("lacks", lacking), ("holds", unlike), ("holds", surplus)):
        if found:
            more = f" and {len(found) - 2} more" if len(found) > 2 else ""
            raise WeightsError(f"weights: {path} is of another network: it {verb} {'; '.join(found[:2])}{more}")
