"""The ensemble's scores without the test images that it may have seen: copies, and patients, in another split."""

import numpy as np

from medray._types import Array, Progress, silent
from medray.console_tables import interval, metric_title
from medray.data.dataset import ImageDataset
from medray.data.similarity.groups import related_groups
from medray.evaluate.evaluated_models import EvaluatedModel
from medray.evaluate.measure_models import measure_models
from medray.evaluate.scores_document import WithoutCopies
from medray.space.published import TEST
from medray.tasks import TASKS
from medray.text import plural

LEAST = 20  # images


def copied_images(dataset: ImageDataset, progress: Progress = silent) -> Array:
    """Return for each test image whether a copy of it, or its patient, is in another split, bool (n,).

    Copies and patients connect images over any number of steps: see `related_groups`.

    Raises:
        DataError: millions of images look the same.
    """
    groups = related_groups(dataset, progress)
    others = [groups[positions] for name, positions in dataset.splits.items() if name != TEST]
    copied: Array = np.isin(groups[dataset.splits[TEST]], np.concatenate([groups[:0], *others]))
    return copied


def measure_without_copies(
    dataset: ImageDataset,
    copied: Array,
    probabilities: Array,
    model: EvaluatedModel,
    task: str,
    metric: str,
    seed: int,
) -> WithoutCopies | None:
    """Return a model's scores without the test images that are `copied` (n,); None where none are.

    `probabilities` (n, classes) are its predictions of the test split, or of its cases, which are left out where
    any of their images is copied. Intervals are as those of `measure_models`. Fewer than LEAST images or cases, or
    one patient, have no scores.
    """
    if not copied.any():
        return None
    kept = ~copied
    if dataset.cases is not None:
        index = dataset.cases.at(dataset.splits[TEST]).index
        kept = np.bincount(index, copied) == 0
        copied = ~kept[index]
    positions = dataset.splits[TEST][~copied]
    units = positions if dataset.groups is None else np.unique(dataset.groups[positions])
    scores = {}
    if kept.sum() >= LEAST and len(units) > 1:
        rest = measure_models(dataset, positions, {model.name: probabilities[kept]}, [model], task, metric, seed)
        scores = {name: rest.models[0].scores[name] for name in dict.fromkeys([metric, TASKS[task].share, "auc"])}
    return WithoutCopies(len(positions), int(copied.sum()), scores)


def without_copies_line(without: WithoutCopies) -> str:
    """Return the scores without copies as a sentence."""
    images = "image has" if without.copies == 1 else "images have"
    copies = f"{without.copies:,} test {images} a copy, or the same patient, in another split; without them"
    if not without.scores:
        return f"{copies} too few are left to be measured: {plural(without.images, 'image')}."
    scores = ", ".join(f"{metric_title(name)} {interval(score)}" for name, score in without.scores.items())
    return f"{copies} the ensemble has, on {without.images:,} images: {scores}."
