"""Networks as ONNX files in medray's cache, under the hash of their content.

Writing one takes seconds and much memory, so a process of its own does it.
"""

import hashlib
import json
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

EXPORT_VERSION = 1  # a change of the export below needs another one
log = logging.getLogger(__name__)


class _FromPixels(nn.Module):
    """Maps images as they are stored, uint8 (n, H, W, C), to class probabilities (n, classes).

    Of a network that attends, the second output is the score of each image, (n,).
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        logits, scores = self.network.logits_and_scores(images.permute(0, 3, 1, 2).float() / 255)
        probabilities = self.network.probabilities(logits)
        return probabilities if scores is None else (probabilities, scores)


def onnx_file(network: Network, shape: Shape) -> Path:
    """Return the path of the network's file for images of `shape`, which holds the hash of its content."""
    content = hashlib.sha256(f"{EXPORT_VERSION} {torch.__version__} {shape} {network}".encode())
    for name, tensor in sorted(network.state_dict().items()):
        content.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return cache_folder("onnx") / f"{content.hexdigest()}.onnx"


def make_files(networks: Sequence[Network], shape: Shape, folder: str | None = None) -> list[Path | None]:
    """Return the files of all networks, after making the missing ones; None, with a warning, for a failure.

    With `folder`, from which the ensemble was loaded, a process of its own makes them.
    """
    paths = [onnx_file(network, shape) for network in networks]
    missing = [member for member, path in enumerate(paths) if not path.exists()]
    if missing and folder is not None:
        command = [sys.executable, "-m", __name__, folder]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            log.warning("the ensemble's networks are run by torch, which is slower: %s", last[:300])
        else:
            for failure in json.loads(done.stdout.splitlines()[-1]):
                log.warning("%s", failure)
    elif missing:
        for member in missing:
            _try_to_write(networks[member], shape, paths[member], member)
    return [path if path.exists() else None for path in paths]


def _try_to_write(network: Network, shape: Shape, path: Path, member: int) -> str | None:
    """Write a network's file; return and log the line of a failure."""
    try:
        _write(network, shape, path)
    except Exception as error:  # the exporter may raise anything, and the disk may be full
        why = error.__cause__ or error  # the exporter wraps the cause in a page of advice
        reason = f"{type(why).__name__}: {one_line(why)}"
        failure = f"member {member} of the ensemble is run by torch, which is slower: {reason}"
        log.warning("%s", failure)
        return failure
    return None


def _write(network: Network, shape: Shape, path: Path) -> None:
    example = torch.zeros((2, *shape), dtype=torch.uint8, device=next(network.parameters()).device)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch about its own
        program = torch.onnx.export(
            _FromPixels(network).eval(), (example,), dynamo=True, verbose=False,
            input_names=["images"], output_names=["probabilities", *(["attention"] if network.attends else [])],
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )  # fmt: skip
        assert program is not None
        write_file_by(path, program.save)


def main() -> None:
    """Make the missing files of an ensemble's folder; the last line on stdout lists the failures as JSON."""
    from medray.ensemble.ensemble import Ensemble

    ensemble = Ensemble.load(sys.argv[1])
    paths = [onnx_file(network, ensemble.image_shape) for network in ensemble.networks]
    failures = [
        _try_to_write(network, ensemble.image_shape, path, member)
        for member, (network, path) in enumerate(zip(ensemble.networks, paths, strict=True))
        if not path.exists()
    ]
    print(json.dumps([failure for failure in failures if failure]))


if __name__ == "__main__":
    main()
