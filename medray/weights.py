"""Where a backbone's starting weights come from: a safetensors file, or timm's hub.

Weights that are not available are an error; training from scratch never replaces them. Nothing here imports torch
or timm.
"""

import os
import socket
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, getproxies, urlopen

from medray.config import TrainConfig
from medray.errors import WeightsError, not_found_line, printable
from medray.files import file_exists, folder_exists

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
        if folder_exists(path):
            path = path / file_name(config.backbone)
            if not file_exists(path):  # the nearest other file is another backbone's, so none is suggested
                raise WeightsError(f"no such file: {printable(str(path))}", key="weights")
        return path
    folder = os.environ.get(FOLDER)
    if not config.pretrained or not folder:
        return None
    if not folder_exists(Path(folder)):
        raise WeightsError(f"{FOLDER} names no folder: {folder}", key="pretrained")
    path = Path(folder) / file_name(config.backbone)
    return path if file_exists(path) else None


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
    """Return whether timm's hub answers, whatever it says, by a proxy where there is one; waits for 3 seconds."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=3).close()
    except HTTPError:  # a mirror that has no such page, or asks who we are
        return True
    except (OSError, ValueError, HTTPException):  # no such host, a proxy that refuses, an address that is none
        return False
    return True


def not_at_hand(backbones: Iterable[str]) -> list[str]:
    """Return those backbones whose published weights can't be had: no local folder has them, no hub answers.

    The hub is asked once whether it answers, and only where some are not on this machine.

    Raises:
        WeightsError: MEDRAY_WEIGHTS names no folder.
    """
    missing = [name for name in backbones if not _is_local(name)]
    return missing if missing and not hub_answers() else []


def _is_local(backbone: str) -> bool:
    """Return whether a backbone's published weights are in the local folder or in the hub's cache."""
    from huggingface_hub import constants

    if weights_file(TrainConfig(backbone=backbone, pretrained=True)) is not None:
        return True
    cache = Path(constants.HF_HUB_CACHE)
    # timm's repositories: resnet18.a1_in1k, of which resnet18 is the first.
    named = (f"models--timm--{backbone}", f"models--timm--{backbone}.*")
    return any(any(cache.glob(f"{name}/snapshots/*/*.safetensors")) for name in named)


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
    if not file_exists(path):
        raise WeightsError(not_found_line("file", path), key="weights")
