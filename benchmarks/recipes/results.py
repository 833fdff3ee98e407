"""The figures of one recipe on the folds of one data set."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ladder_rungs.measure import METRICS, Measurement

from medray.data.dataset import LabelledImages
from medray.json_document import JsonDocument
from medray.tasks import TASKS

from .arms import Arm, config_of
from .training import RecipeTraining


@dataclass(frozen=True)
class RecipeResult(JsonDocument):
    """Scores after the last epoch by metric, of each fold; `mirrored`: with the mirror image averaged in."""

    set: str
    kind: str
    arm: str
    scores: dict[str, tuple[float, ...]]
    mirrored: dict[str, tuple[float, ...]]
    seconds: tuple[float, ...]
    images: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What is measured once."""
        return self.set, self.kind, self.arm


def read_results(path: Path) -> list[RecipeResult]:
    """Return the results of a file, in its order; none where there is no file."""
    if not path.is_file():
        return []
    lines = enumerate(path.read_text().splitlines(), start=1)
    return [RecipeResult.from_dict(json.loads(line), f"{path}, line {number}") for number, line in lines]


def run_arm(arm: Arm, kind: str, measurement: Measurement, most: int) -> RecipeResult:
    """Train a recipe on each fold, of at most `most` training images, and return its scores."""
    scores: dict[str, list[float]] = {name: [] for name in METRICS}
    mirrored: dict[str, list[float]] = {name: [] for name in METRICS}
    seconds, images = [], 0
    for train, val in measurement.folds:
        started = time.perf_counter()
        some = _some(train, most)
        config = config_of(arm, kind, measurement.backbone, measurement.seed, max(train.shape[:2]))
        training = RecipeTraining(arm, config, some, val)
        while training.ended_by() is None:
            last = training.run_epoch()
        seconds.append(round(time.perf_counter() - started, 2))
        both = TASKS[training.config.task].measure(
            training.val.answers(training.mirrored_outputs), training.val.answered_labels
        )
        images = len(some)
        for name in METRICS:
            scores[name].append(round(last.metrics[name], 5))
            mirrored[name].append(round(both[name], 5))
    return RecipeResult(
        measurement.data_set.name, kind, arm.name, _fixed(scores), _fixed(mirrored), tuple(seconds), images
    )


def _fixed(scores: dict[str, list[float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(values) for name, values in scores.items()}


def _some(images: LabelledImages, most: int) -> LabelledImages:
    """Return at most so many of the images, the same ones on every call."""
    if len(images) <= most:
        return images
    return replace(images, positions=np.sort(np.random.default_rng(0).permutation(images.positions)[:most]))
