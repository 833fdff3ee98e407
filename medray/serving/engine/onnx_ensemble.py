"""FastEnsemble: the answers of Ensemble in less time on a CPU, by ONNX Runtime.

`benchmarks/inference.py` measures it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from medray._types import Array
from medray.ensemble.ensemble import Ensemble
from medray.errors import ConfigError, RunError, one_line
from medray.serving.engine.onnx_export import log, make_files, onnx_outputs, run_by_torch
from medray.stats.outputs import Outputs, joined
from medray.training.frozen.groups import NetworkGroup, group_outputs, in_order
from medray.training.images import evaluation_batch

TOLERANCE = 1e-5  # in probabilities
BATCH_PIXELS = 64 * 28 * 28  # of a network's batch: its activations then stay in the CPU's cache

#: From uint8 images (n, H, W, C), contiguous, to the outputs of each network of a group.
Predictor = Callable[[Array], list[Outputs]]


@dataclass(frozen=True, eq=False, kw_only=True)
class FastEnsemble(Ensemble):
    """An ensemble that answers by `predictors` instead of its `networks`, which stay free for gradients and hooks.

    Thread-safe. There is a predictor for each of `groups`; `unconverted` are the indices of the members that torch
    still runs.
    """

    ensemble: Ensemble
    predictors: tuple[Predictor, ...]
    unconverted: tuple[int, ...]

    @classmethod
    def prepare(
        cls, ensemble: Ensemble, *, threads: int | None = None, folder: str | None = None
    ) -> "FastEnsemble":
        """Return a fast ensemble whose answers are checked against those of `ensemble`, which is not changed.

        `threads` of the CPU, by default as many as torch uses, compute an answer. Converting a new network takes
        seconds, in another process if `folder` is given, from which the ensemble was loaded. A network that can't
        be converted is run by torch, with a warning in the log; on a GPU all of them are.

        Raises:
            ConfigError: `threads` is below 1.
            RunError: a probability differs by more than 1e-5.
        """
        if threads is None:
            threads = torch.get_num_threads()
        if threads < 1:
            raise ConfigError(f"threads is {threads}; it must be 1 or more")
        shape = ensemble.image_shape
        sample = np.random.default_rng(0).integers(0, 256, size=(4, *shape), dtype=np.uint8)
        sample[0] = 0  # black, and a gradient
        sample[1] = np.linspace(0, 255, shape[1], dtype=np.uint8)[None, :, None]
        expected = ensemble.member_outputs(sample)
        groups = ensemble.groups
        files: list[Path | None] = [None] * len(groups)
        if torch.device(ensemble.device).type == "cpu":  # elsewhere torch has the faster kernels
            files = make_files(groups, shape, folder)
        predictors: list[Predictor] = []
        unconverted: list[int] = []
        for path, group in zip(files, groups, strict=True):
            answers = [expected[member] for member in group.members]
            converted = None if path is None else _onnx_predictor(path, threads, sample, answers, group)
            if converted is None:
                unconverted += group.members
            predictors.append(converted or _torch_predictor(group, ensemble.device))
        values = {field.name: getattr(ensemble, field.name) for field in fields(Ensemble)}
        fast = cls(
            **values, ensemble=ensemble, predictors=tuple(predictors), unconverted=tuple(sorted(unconverted))
        )
        difference = np.abs(ensemble.predict(sample).probabilities - fast.predict(sample).probabilities).max()
        if not difference <= TOLERANCE:
            raise RunError(
                f"the fast ensemble is off: probabilities differ from the ensemble's by {difference:.1e}; at most "
                f"{TOLERANCE:g} is allowed"
            )
        return fast

    def member_outputs(self, images: Array) -> list[Outputs]:
        """Return each member's outputs for uint8 images (N, H, W, C)."""
        images = np.ascontiguousarray(images)
        outputs = [
            predict(images) if len(images) <= batch else _in_batches(predict, images, batch)
            for predict, batch in zip(self.predictors, self._batches, strict=True)
        ]
        return in_order(self.groups, outputs)

    @cached_property
    def _batches(self) -> list[int]:
        """How many images each group's networks see at once."""
        return [evaluation_batch(group.network, self.image_shape, BATCH_PIXELS, least=8) for group in self.groups]


def _in_batches(predict: Predictor, images: Array, batch: int) -> list[Outputs]:
    answers = [predict(part) for part in np.array_split(images, -(-len(images) // batch))]
    return [joined(list(parts)) for parts in zip(*answers, strict=True)]


def _onnx_predictor(
    path: Path, threads: int, sample: Array, expected: Sequence[Outputs], group: NetworkGroup
) -> Predictor | None:
    """Return a predictor of the group in a file, None where it does not give `expected` for `sample`.

    The file is then deleted.
    """
    import onnxruntime  # half a second, which only serving needs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # between requests
    options.enable_mem_pattern = False  # it keeps a plan for every number of images
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        names = onnx_outputs(group)

        def predict(images: Array) -> list[Outputs]:
            outputs = dict(zip(names, session.run(names, {"images": images}), strict=True))
            members = range(len(group.members))
            return [Outputs(outputs[f"probabilities_{i}"], outputs.get(f"attention_{i}")) for i in members]

        difference = 0.0
        for output, exact in zip(predict(sample), expected, strict=True):
            difference = max(difference, np.abs(output.probabilities - exact.probabilities).max())
            if output.scores is not None and exact.scores is not None:
                difference = max(difference, np.abs(output.scores - exact.scores).max())
    except Exception as error:  # of ONNX Runtime, about a file that is damaged or has unknown operators
        why = one_line(error)[:300]
    else:
        if difference <= TOLERANCE:
            return predict
        why = f"converted, its answers differ by {difference:.1e}"
    log.warning("%s", run_by_torch(group, why))
    path.unlink(missing_ok=True)
    return None


def _torch_predictor(group: NetworkGroup, device: str) -> Predictor:
    return lambda images: group_outputs(group, images, torch.device(device))
