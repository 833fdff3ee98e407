"""One rung on the folds of one data set, by medray's own fit."""

import dataclasses
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from search_quality.data_sets import BenchmarkSet, write_arrays

from medray.data.dataset import ImageDataset, LabelledImages
from medray.data.folds import POOL, make_folds
from medray.data.load_data import load_data
from medray.data.similarity.groups import related_groups
from medray.data.smaller_images import keep_smaller
from medray.json_document import JsonDocument

from .rungs import SIDES, Rung

METRICS = ("auc", "accuracy", "log_loss")


@dataclass(frozen=True)
class Result(JsonDocument):
    """The figures of one rung on one set: of each fold its scores, by metric, and the seconds of its training.

    `images` are those that the first fold trains on; `load` is the load average of the machine at the end.
    """

    set: str
    rung: Rung
    scores: dict[str, tuple[float, ...]]
    seconds: tuple[float, ...]
    images: int
    load: float

    @property
    def key(self) -> tuple[str, str]:
        """What is measured once: the set and the rung's name."""
        return self.set, self.rung.name

    def mean(self, metric: str) -> float:
        """Return the mean over the folds."""
        return statistics.fmean(self.scores[metric])


def read_results(path: Path) -> list[Result]:
    """Return the results of a file, in its order; none where there is no file."""
    if not path.is_file():
        return []
    lines = enumerate(path.read_text().splitlines(), start=1)
    return [Result.from_dict(json.loads(line), f"{path}, line {number}") for number, line in lines]


@dataclass(frozen=True)
class Measurement:
    """A data set without its test split, and the folds of its train and val splits.

    Images of files are read at the largest size of any rung. Copies are on one side of each fold.
    """

    data_set: BenchmarkSet
    data: Path
    scratch: Path
    backbone: str
    weights: Path
    seed: int
    fold_count: int

    @cached_property
    def dataset(self) -> ImageDataset:
        """The train and val splits."""
        data_set = self.data_set
        if data_set.preparation:
            images = {**data_set.preparation["images"], "image_size": max(SIDES)}
            data_set = dataclasses.replace(data_set, preparation={**data_set.preparation, "images": images})
        read = load_data(str(write_arrays(data_set, self.data, self.scratch / "arrays")))
        pool = np.sort(np.concatenate([read.splits[name] for name in POOL]))
        dataset = ImageDataset(
            read.images[pool], read.labels[pool], read.class_names, {POOL[0]: np.arange(len(pool))}, read.source
        )
        return keep_smaller(dataset, SIDES)

    @cached_property
    def folds(self) -> Sequence[tuple[LabelledImages, LabelledImages]]:
        """The images to train on, and those held out, of each fold."""
        folds = make_folds(self.dataset, self.fold_count, self.seed, related_groups).folds
        return [(self.dataset.at(fold.train), self.dataset.at(fold.val)) for fold in folds]

    @cached_property
    def images_file(self) -> Path:
        """The published weights in medray's form, with mean and deviation of this set's images."""
        from safetensors.torch import load_file, save_file

        from medray.training.models import channel_statistics

        tensors = load_file(self.weights / f"{self.backbone}.safetensors")
        named = {f"backbone.{name}": tensor for name, tensor in tensors.items()}
        mean, deviation = channel_statistics(self.dataset.images, np.arange(len(self.dataset)))
        path = self.scratch / f"{self.data_set.name}.{self.backbone}.safetensors"
        save_file({**named, "normalise.mean": mean, "normalise.std": deviation}, path)
        return path

    def run(self, rung: Rung) -> Result:
        """Train the rung on each fold and return its scores after the last epoch."""
        from medray.training.loop import fit

        scores: dict[str, list[float]] = {name: [] for name in METRICS}
        seconds = []
        file = self.images_file if rung.normalisation == "images" else None
        for train, val in self.folds:
            started = time.perf_counter()
            *_, last = fit(rung.config(self.backbone, self.seed, file), train, val)
            seconds.append(round(time.perf_counter() - started, 2))
            for name in METRICS:
                scores[name].append(round(last.metrics[name], 5))
        return Result(
            self.data_set.name, rung, {name: tuple(each) for name, each in scores.items()},
            tuple(seconds), len(self.folds[0][0]), round(os.getloadavg()[0], 2),
        )  # fmt: skip
