"""Features of images by a frozen trunk, kept by content: weights, preprocessing, images, transforms."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medray._types import Array, Progress
from medray.cores import usable_cores
from medray.data.cache.map_in_order import map_in_order
from medray.data.cache.row_cache import RowCache, fits
from medray.data.dataset import LabelledImages
from medray.training.augment import Augmenter
from medray.training.frozen.folded import folded
from medray.training.frozen.trunk import Trunk, evaluating
from medray.training.images import EVALUATION_PIXELS, evaluation_batch, to_input
from medray.training.models.stage_pooling import StagePooling
from medray.training.seeds import draw_seed

FORM = 4  # of what is cached; another one means other numbers
CPU_PIXELS = 4 * 128 * 128  # of a batch
PLAIN = -1  # the view without transforms


class FrozenFeatures:
    """The features of a data set's images by one trunk, plain or as views that a pipeline makes of them.

    View k of an image is the same in all trainings. Rows are kept in float16, whose rounding changes
    probabilities by about 0.001 at most where a last dense layer is trained on them; layers before it, and
    normalisations above all, take the rounding further from step to step, so for these rows are float32.
    """

    def __init__(
        self, trunk: Trunk, backbone: str, tensors: Mapping[str, Tensor], sample: Tensor,
        pipeline: Sequence[Mapping[str, Any]], device: torch.device, progress: Progress, *, rounded: bool,
    ) -> None:  # fmt: skip
        """Take a trunk of a `backbone` with its `tensors`, by name, and a `sample` (n, ...) of its features."""
        self.trunk, self.shape, self.device, self.progress = trunk, tuple(sample.shape[1:]), device, progress
        in_range = sample.abs().max().item() < float(np.finfo(np.float16).max) / 4
        self.kind: type[np.floating[Any]] = np.float16 if rounded and in_range else np.float32
        self._steps, self._pipeline = pipeline, json.dumps(list(pipeline))
        self._of_thread = threading.local()
        poolings = [module for module in trunk.network.modules() if isinstance(module, StagePooling)]
        without_tensors = [
            repr(trunk.network._modules.get("resize")), *(pooling.extra_repr() for pooling in poolings),
        ]  # fmt: skip
        # Two architectures may have one file of weights, and differ in an activation or a padding.
        architecture = backbone.partition(".")[0], version("timm")
        digest = hashlib.sha256(
            repr((FORM, *architecture, trunk.name, self.shape, self.kind.__name__, without_tensors)).encode()
        )
        for name, tensor in sorted(tensors.items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        self._digest = digest.hexdigest()
        self._rows: dict[tuple[str, int], RowCache] = {}

    def of(self, images: LabelledImages, indices: Array, view: int = PLAIN) -> Tensor:
        """Return the features (n, ...) of the images at `indices` of a slice, float32, on the training device."""
        cache = self._cache(images, view)
        cache.fill(images.positions, lambda missing: self._compute(images.images, missing, view))
        rows = torch.from_numpy(cache.take(images.positions[indices]))
        return rows.to(self.device, non_blocking=True).float()

    def fit(self, images: LabelledImages, kinds: int = 1) -> bool:
        """Return whether the features of all images fit into the cache, plain or as views: of so many kinds."""
        return fits(kinds * len(images.images), self.shape, self.kind)

    def why_not_kept(self, images: LabelledImages) -> str | None:
        """Return why the features of images can't be kept for other trainings; None where they can."""
        return self._cache(images, PLAIN).why_in_memory

    def _cache(self, images: LabelledImages, view: int) -> RowCache:
        key = (images.content, view)
        if key not in self._rows:
            transforms = "" if view == PLAIN else f"{view} {self._pipeline}"
            content = f"{self._digest} {images.content} {transforms}"
            name = hashlib.sha256(content.encode()).hexdigest()
            count = len(images.images)
            self._rows[key] = RowCache(name, count, self.shape, self.kind, on_disk=self.fit(images))
        return self._rows[key]

    def _batch(self, shape: tuple[int, ...]) -> int:
        """Return the size of a batch: on a processor so few that a layer's outputs stay in its cache."""
        least, pixels = (2, CPU_PIXELS) if self.device.type == "cpu" else (64, EVALUATION_PIXELS)
        return evaluation_batch(self.trunk.network, shape, pixels, least)

    def _compute(self, images: Array, positions: Array, view: int) -> Iterator[tuple[Array, Array]]:
        """Yield positions and their features, batch by batch, on all cores or the GPU."""
        size = self._batch(images.shape[1:])
        batches = [positions[start : start + size] for start in range(0, len(positions), size)]
        # A thread for each core, as other trainings wait for these rows. Each computes alone: threads that share
        # an operator wait for one another at its end, on a busy machine for long.
        threads = torch.get_num_threads()
        cores = usable_cores() if self.device.type == "cpu" else 1
        torch.set_num_threads(1)
        done = 0
        try:
            with evaluating(self.trunk.network):
                trunk = folded(self.trunk, to_input(images[batches[0]], self.device))
                work = partial(self._features, trunk, images, view)
                with closing(map_in_order(work, batches, cores)) as results:
                    for at, rows in zip(batches, results, strict=True):
                        yield at, rows
                        done += len(at)
                        self.progress("Embedding", done, len(positions))
        finally:
            torch.set_num_threads(threads)

    def _features(self, trunk: Trunk, images: Array, view: int, at: Array) -> Array:
        """Return the features of the images at some positions."""
        batch = images[at]
        if view != PLAIN:  # each image by a seed of its own: whichever of them are missing, it is the same
            if not hasattr(self._of_thread, "augment"):
                self._of_thread.augment = Augmenter(self._steps)
            augment = self._of_thread.augment
            for i, position in enumerate(at.tolist()):
                batch[i : i + 1] = augment(batch[i : i + 1], draw_seed(view, position) % 2**31)
        rows: Array = trunk(to_input(batch, self.device)).float().cpu().numpy()
        if self.kind == np.float16:  # what is finite stays so
            most = np.finfo(np.float16).max
            rows = np.where(np.isfinite(rows), rows.clip(-most, most), rows)
        return rows.astype(self.kind)
