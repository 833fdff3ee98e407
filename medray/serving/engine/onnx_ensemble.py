"""FastEnsemble: the same answers as Ensemble in less time, for serving on a CPU.

ONNX Runtime runs the networks, see `onnx_files`. `benchmarks/inference.py` measures it.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

from medray._types import Array, Shape
from medray.ensemble.ensemble import Ensemble
from medray.errors import ConfigError, RunError, one_line
from medray.serving.engine.onnx_export import log, make_files
from medray.training.loop import EVALUATION_PIXELS, to_input

TOLERANCE = 1e-5  # in probabilities
AT_ONCE = 64 * 28 * 28  # pixels of images that a network is given: its layers' answers then stay in the cache

#: From uint8 images (n, H, W, C), contiguous, to float32 (n, classes).
Answering = Callable[[Array], Array]


@dataclass(frozen=True, eq=False, kw_only=True)
class FastEnsemble(Ensemble):
    """An ensemble that answers by `answering` instead of its `networks`, which stay free for gradients and hooks.

    It may be asked by several threads at once. `unconverted` are the members that torch still runs.
    """

    ensemble: Ensemble
    answering: tuple[Answering, ...]
    unconverted: tuple[int, ...]

    @classmethod
    def prepare(
        cls, ensemble: Ensemble, *, threads: int | None = None, folder: str | None = None
    ) -> "FastEnsemble":
        """Build one, and check its answers against those of `ensemble`, which stays as it is.

        `threads` of the CPU, by default as many as torch uses, work on an answer. The first time that a network
        is seen it takes seconds; where `folder` says from where the ensemble was loaded, in another process.
        A network that can't be converted runs as it is, which a warning in the log tells; so do all of them
        elsewhere than on a CPU.

        Raises:
            ConfigError: `threads` is below 1.
            RunError: a probability differs by more than 1e-5.
        """
        if threads is None:
            threads = torch.get_num_threads()
        if threads < 1:
            raise ConfigError(f"threads is {threads}; it must be 1 or more")
        shape, sample = ensemble.image_shape, _sample(ensemble.image_shape)
        wanted = ensemble.member_probabilities(sample)
        files: list[Path | None] = [None] * len(ensemble.networks)
        if torch.device(ensemble.device).type == "cpu":  # elsewhere torch has the faster kernels
            files = make_files(ensemble.networks, shape, folder)
        answering: list[Answering] = []
        unconverted: list[int] = []
        for member, (path, network) in enumerate(zip(files, ensemble.networks, strict=True)):
            converted = None if path is None else _session(path, threads, sample, wanted[member], member)
            if converted is None:
                unconverted.append(member)
            answering.append(converted or _as_it_is(network, ensemble.device))
        whole = {field.name: getattr(ensemble, field.name) for field in fields(Ensemble)}
        fast = cls(**whole, ensemble=ensemble, answering=tuple(answering), unconverted=tuple(unconverted))
        difference = np.abs(ensemble.predict(sample).probabilities - fast.predict(sample).probabilities).max()
        if not difference <= TOLERANCE:
            raise RunError(
                f"the fast ensemble is off: probabilities differ from the ensemble's by {difference:.1e}; at most "
                f"{TOLERANCE:g} is allowed"
            )
        return fast

    def member_probabilities(self, images: Array) -> list[Array]:
        """What each member says of uint8 images (N, H, W, C), float32 (N, classes), before any averaging."""
        height, width, _ = self.image_shape
        at_once = max(8, AT_ONCE // (height * width))
        parts = np.array_split(np.ascontiguousarray(images), max(1, -(-len(images) // at_once)))
        return [np.concatenate([answer(part) for part in parts]) for answer in self.answering]


def _sample(shape: Shape) -> Array:
    """Images to check with, uint8 (4, H, W, C): black, a gradient, and noise."""
    images = np.random.default_rng(0).integers(0, 256, size=(4, *shape), dtype=np.uint8)
    images[0] = 0
    images[1] = np.linspace(0, 255, shape[1], dtype=np.uint8)[None, :, None]
    return images


def _session(path: Path, threads: int, sample: Array, wanted: Array, member: int) -> Answering | None:
    """The network in a file, if it gives `wanted` for `sample`; else the file is deleted."""
    import onnxruntime  # half a second, which only serving needs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # between requests
    options.enable_mem_pattern = False  # it keeps a plan for every number of images
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        def answer(images: Array) -> Array:
            found: Array = session.run(None, {"images": images})[0]
            return found

        difference = np.abs(answer(sample) - wanted).max()
    except Exception as error:  # of ONNX Runtime, about a file that is damaged or has unknown operators
        why = one_line(error)[:300]
    else:
        if difference <= TOLERANCE:
            return answer
        why = f"converted, its probabilities differ by {difference:.1e}"
    log.warning("member %d of the ensemble runs as it is, so slower: %s", member, why)
    path.unlink(missing_ok=True)
    return None


def _as_it_is(network: nn.Module, device: str) -> Answering:
    place = torch.device(device)

    @torch.inference_mode()
    def answer(images: Array) -> Array:
        height, width = images.shape[1:3]
        at_once = max(16, EVALUATION_PIXELS // (height * width))
        batches = np.array_split(np.require(images, requirements="W"), max(1, -(-len(images) // at_once)))
        parts = [network(to_input(batch, place)).softmax(dim=1).float().cpu().numpy() for batch in batches]
        found: Array = np.concatenate(parts)
        return found

    return answer
