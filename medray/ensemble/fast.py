"""FastEnsemble: the same answers as Ensemble in less time, for serving on a CPU.

Two lenet5 and two resnet8_small at 28×28 on one thread: 1.1 times as fast for one image, 1.8 for 8, 1.9 for 32
and 2.0 for 64 (one run of medians). `benchmarks/inference.py` measures it.
"""

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import nn

from medray.data.dataset import Array
from medray.ensemble.fusing import fuse, warn
from medray.ensemble.model import Ensemble
from medray.errors import ConfigError, RunError
from medray.training.loop import EVALUATION_PIXELS, to_input
from medray.training.models import Shape

TOLERANCE = 1e-5  # in probabilities
FUSED_PIXELS = 64 * 28 * 28  # of images, times members, at once: what a layer answers then stays in the cache


@dataclass(frozen=True)
class Unit:
    """Modules that one worker runs: each gives the logits, (n, its members · classes), of images (n, C, H, W)."""

    modules: tuple[nn.Module, ...]
    members: tuple[int, ...]
    images: int  # at once

    @torch.inference_mode()
    def answer(self, images: Array, device: torch.device) -> Array:
        """Probabilities, float32 (members, n, classes), of uint8 images (n, H, W, C)."""
        x = to_input(images, device)
        logits = torch.cat([module(x) for module in self.modules], dim=1)
        apart = logits.unflatten(1, (len(self.members), -1)).transpose(0, 1)
        found: Array = apart.softmax(dim=2).cpu().numpy()
        return found

    def batches(self, images: Array) -> list[Array]:
        """Split images into equal parts that are as few as can be."""
        return np.array_split(images, -(-len(images) // self.images))


@dataclass(frozen=True, eq=False, kw_only=True)
class FastEnsemble(Ensemble):
    """An ensemble that answers by `units` instead of its `networks`, which stay free for gradients and hooks.

    It may be asked by several threads at once.
    """

    ensemble: Ensemble
    units: tuple[Unit, ...]
    pool: ThreadPoolExecutor

    @classmethod
    def prepare(cls, ensemble: Ensemble, *, threads: int | None = None) -> "FastEnsemble":
        """Build one, warm it up, and check its answers against those of `ensemble`, which stays as it is.

        `threads` of the CPU, by default as many as torch uses, are shared among the members: each works on
        members of its own, so that they need not wait for each other layer by layer. A network that can't be
        fused runs as it is, which a warning in the log tells; so do all of them elsewhere than on a CPU.
        Other threads may run networks meanwhile.

        Raises:
            ConfigError: `threads` is below 1.
            RunError: a probability differs by more than 1e-5.
        """
        if threads is None:
            threads = torch.get_num_threads()
        if threads < 1:
            raise ConfigError(f"threads is {threads}; it must be 1 or more")
        device = torch.device(ensemble.device)
        workers = min(threads, len(ensemble.networks)) if device.type == "cpu" else 1
        pool, sample = _start_pool(workers, threads // workers), _sample(ensemble.image_shape)
        units = _checked_units(ensemble, sample, pool, workers)
        whole = {field.name: getattr(ensemble, field.name) for field in fields(Ensemble)}
        fast = cls(**whole, ensemble=ensemble, units=units, pool=pool)
        wanted = pool.submit(ensemble.predict, sample).result().probabilities
        difference = np.abs(wanted - fast.predict(sample).probabilities).max()
        if not difference <= TOLERANCE:
            raise RunError(
                f"the fast ensemble is off: probabilities differ from the ensemble's by {difference:.1e}; at most "
                f"{TOLERANCE:g} is allowed"
            )
        return fast

    def member_probabilities(self, images: Array) -> list[Array]:
        """What each member says of uint8 images (N, H, W, C), float32 (N, classes), before any averaging."""
        images = np.require(images, requirements=("C", "W"))  # of read-only arrays torch warns
        device = torch.device(self.device)
        asked = [
            [self.pool.submit(unit.answer, batch, device) for batch in unit.batches(images)] for unit in self.units
        ]
        found: list[Array] = [images] * len(self.networks)
        for unit, answers in zip(self.units, asked, strict=True):
            parts = np.concatenate([answer.result() for answer in answers], axis=1)
            for member, probabilities in zip(unit.members, parts, strict=True):
                found[member] = probabilities
        return found


def _start_pool(workers: int, threads: int) -> ThreadPoolExecutor:
    """Start `workers`, each with so many threads of torch; those of the caller stay as they are."""
    before, started = torch.get_num_threads(), threading.Barrier(workers + 1)

    def start() -> None:
        torch.get_num_threads()  # a thread's first call takes over the process's number: here, not later
        torch.set_num_threads(threads)
        started.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="medray-ensemble", initializer=start)
    for _ in range(workers):
        pool.submit(int)
    started.wait()
    torch.set_num_threads(before)  # the last call anywhere counts for threads that are yet to come
    return pool


def _sample(shape: Shape) -> Array:
    """Images to check with, uint8 (4, H, W, C): black, a gradient, and noise."""
    images = np.random.default_rng(0).integers(0, 256, size=(4, *shape), dtype=np.uint8)
    images[0] = 0
    images[1] = np.linspace(0, 255, shape[1], dtype=np.uint8)[None, :, None]
    return images


def _checked_units(ensemble: Ensemble, sample: Array, pool: ThreadPoolExecutor, workers: int) -> tuple[Unit, ...]:
    """A unit for each worker; together they answer for every member."""
    device = torch.device(ensemble.device)
    wanted = np.stack(pool.submit(ensemble.member_probabilities, sample).result())
    pixels = sample[0, :, :, 0].size
    timed: list[tuple[float, Unit]] = []
    if device.type == "cpu":  # elsewhere rounding is coarser, and other kernels are fast
        for module, members in fuse(ensemble.networks, to_input(sample[:1], device), workers):
            unit = Unit((module,), members, max(8, FUSED_PIXELS // (pixels * len(members))))
            seconds, difference = _try(unit, sample, wanted, pool, device)
            if difference <= TOLERANCE:
                timed.append((seconds, unit))
            else:
                warn(members, f"fused, their probabilities differ by {difference:.1e}")
    done = {member for _, unit in timed for member in unit.members}
    for member in set(range(len(wanted))) - done:
        network = copy.deepcopy(ensemble.networks[member]).eval()
        unit = Unit((network,), (member,), max(16, EVALUATION_PIXELS // pixels))
        timed.append((_try(unit, sample, wanted, pool, device)[0], unit))
    return _shared_out(timed, workers)


def _try(
    unit: Unit, sample: Array, wanted: Array, pool: ThreadPoolExecutor, device: torch.device
) -> tuple[float, float]:
    """Seconds that a unit takes once it is warm, and the largest difference of a probability."""
    pool.submit(unit.answer, sample, device).result()
    start = time.perf_counter()
    found = pool.submit(unit.answer, sample, device).result()
    seconds = time.perf_counter() - start
    return seconds, float(np.abs(found - wanted[list(unit.members)]).max())


def _shared_out(timed: list[tuple[float, Unit]], workers: int) -> tuple[Unit, ...]:
    """Join units into one for each worker: the longest first, each to whom has least to do (Graham 1969)."""
    shares: list[list[Unit]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for seconds, unit in sorted(timed, key=lambda pair: -pair[0]):
        least = loads.index(min(loads))
        loads[least] += seconds
        shares[least].append(unit)
    return tuple(
        Unit(
            modules=tuple(module for unit in share for module in unit.modules),
            members=tuple(member for unit in share for member in unit.members),
            images=min(unit.images for unit in share),
        )
        for share in shares
    )
