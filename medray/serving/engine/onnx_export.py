"""Networks as ONNX files, which ONNX Runtime answers in a fraction of the time; made once, kept by content.

Writing one takes seconds and much memory, so a process of its own does it, and the file stays in medray's cache
under the hash of what is in it.
"""

import hashlib
import logging
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from medray._types import Shape
from medray.errors import one_line
from medray.files import cache_folder, write_file_by
from medray.training.models import Network

FORM = 1  # of what is exported; another one means other files
log = logging.getLogger(__name__)


class _Answering(nn.Module):
    """From images as they are stored, uint8 (n, H, W, C), to class probabilities (n, classes)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images.permute(0, 3, 1, 2).float() / 255)
        return logits.softmax(dim=1)


def onnx_file(network: Network, shape: Shape) -> Path:
    """Where the network's file is or will be, for images of `shape`: by the hash of all that it holds."""
    content = hashlib.sha256(f"{FORM} {torch.__version__} {shape} {network}".encode())
    for name, tensor in sorted(network.state_dict().items()):
        content.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return cache_folder("onnx") / f"{content.hexdigest()}.onnx"


def make_files(networks: Sequence[Network], shape: Shape, folder: str | None = None) -> list[Path | None]:
    """The files of all networks; those that are missing are made, None where one can't be, which the log tells.

    A process of its own makes them where `folder`, the ensemble's, is given; it loads them from there.
    """
    paths = [onnx_file(network, shape) for network in networks]
    missing = [place for place, path in enumerate(paths) if not path.exists()]
    if missing and folder is not None:
        _in_another_process(folder)
    elif missing:
        for place in missing:
            _try_to_write(networks[place], shape, paths[place], place)
    return [path if path.exists() else None for path in paths]


def _in_another_process(folder: str) -> None:
    command = [sys.executable, "-m", __name__, folder]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("member "):
            log.warning("%s", line)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        log.warning("the ensemble's networks run as they are, so slower: %s", last[:300])


def _try_to_write(network: Network, shape: Shape, path: Path, member: int) -> str | None:
    """Write a network's file; what stood in the way, if anything, is returned and logged."""
    try:
        _write(network, shape, path)
    except Exception as error:  # the exporter may say anything of a network, and a disk too
        why = error.__cause__ or error  # the exporter wraps what happened in a page of advice
        told = f"member {member} of the ensemble runs as it is, so slower: {type(why).__name__}: {one_line(why)}"
        log.warning("%s", told)
        return told
    return None


def _write(network: Network, shape: Shape, path: Path) -> None:
    example = torch.zeros((2, *shape), dtype=torch.uint8, device=next(network.parameters()).device)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch about its own
        program = torch.onnx.export(
            _Answering(network).eval(), (example,), dynamo=True, verbose=False,
            input_names=["images"], output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )  # fmt: skip
        assert program is not None
        write_file_by(path, program.save)


def main() -> None:
    """Make the missing files of an ensemble's folder; what can't be is told line by line."""
    from medray.ensemble.ensemble import Ensemble

    ensemble = Ensemble.load(sys.argv[1])
    for place, network in enumerate(ensemble.networks):
        path = onnx_file(network, ensemble.image_shape)
        if not path.exists():
            told = _try_to_write(network, ensemble.image_shape, path, place)
            if told:
                print(told)


if __name__ == "__main__":
    main()
