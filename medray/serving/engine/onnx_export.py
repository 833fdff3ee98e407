"""Groups of networks as ONNX files in medray's cache, under the hash of their content.

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
from medray.training.frozen.groups import NetworkGroup

EXPORT_VERSION = 2  # a change of the export below needs another one
log = logging.getLogger(__name__)


class _FromPixels(nn.Module):
    """Maps images as they are stored, uint8 (n, H, W, C), to each network's class probabilities (n, classes).

    Of a network that attends, the score of each image, (n,), comes next.
    """

    def __init__(self, group: NetworkGroup) -> None:
        super().__init__()
        self.group = group

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        answers = self.group(images.permute(0, 3, 1, 2).float() / 255)
        return tuple(tensor for answer in answers for tensor in answer if tensor is not None)


def onnx_outputs(group: NetworkGroup) -> list[str]:
    """Return the names of a file's outputs, network by network."""
    names = []
    for member, rest in enumerate(group.rests):
        names += [f"probabilities_{member}", *([f"attention_{member}"] if rest.attends else [])]
    return names


def onnx_file(group: NetworkGroup, shape: Shape) -> Path:
    """Return the path of the group's file for images of `shape`, which holds the hash of its content."""
    content = hashlib.sha256(f"{EXPORT_VERSION} {torch.__version__} {shape} {group}".encode())
    for name, tensor in sorted(group.state_dict().items()):
        content.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return cache_folder("onnx") / f"{content.hexdigest()}.onnx"


def make_files(groups: Sequence[NetworkGroup], shape: Shape, folder: str | None = None) -> list[Path | None]:
    """Return the files of all groups, after making the missing ones; None, with a warning, for a failure.

    With `folder`, from which the ensemble was loaded, a process of its own makes them.
    """
    paths = [onnx_file(group, shape) for group in groups]
    missing = [(group, path) for group, path in zip(groups, paths, strict=True) if not path.exists()]
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
        for group, path in missing:
            _try_to_write(group, shape, path)
    return [path if path.exists() else None for path in paths]


def run_by_torch(group: NetworkGroup, reason: str) -> str:
    """Return the line that says which members torch runs, and why."""
    numbers = ", ".join(map(str, group.members))
    subject, verb = ("members", "are") if len(group.members) > 1 else ("member", "is")
    return f"{subject} {numbers} of the ensemble {verb} run by torch, which is slower: {reason}"


def _try_to_write(group: NetworkGroup, shape: Shape, path: Path) -> str | None:
    """Write a group's file; return and log the line of a failure."""
    try:
        _write(group, shape, path)
    except Exception as error:  # the exporter may raise anything, and the disk may be full
        why = error.__cause__ or error  # the exporter wraps the cause in a page of advice
        failure = run_by_torch(group, f"{type(why).__name__}: {one_line(why)}")
        log.warning("%s", failure)
        return failure
    return None


def _write(group: NetworkGroup, shape: Shape, path: Path) -> None:
    example = torch.zeros((2, *shape), dtype=torch.uint8, device=next(group.parameters()).device)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch about its own
        program = torch.onnx.export(
            _FromPixels(group).eval(), (example,), dynamo=True, verbose=False,
            input_names=["images"], output_names=onnx_outputs(group),
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )  # fmt: skip
        assert program is not None
        write_file_by(path, program.save)


def main() -> None:
    """Make the missing files of an ensemble's folder; the last line on stdout lists the failures as JSON."""
    from medray.ensemble.ensemble import Ensemble

    ensemble = Ensemble.load(sys.argv[1])
    paths = [onnx_file(group, ensemble.image_shape) for group in ensemble.groups]
    failures = [
        _try_to_write(group, ensemble.image_shape, path)
        for group, path in zip(ensemble.groups, paths, strict=True)
        if not path.exists()
    ]
    print(json.dumps([failure for failure in failures if failure]))


if __name__ == "__main__":
    main()
