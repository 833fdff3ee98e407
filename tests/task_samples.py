"""Simulated answers of each task: images, and probabilities of a network that is too sure of them."""

import numpy as np

from medray._types import Array
from medray.decisions.conformal import ConformalSets, calibrate, calibrate_label
from medray.tasks import Task

UNKNOWN = 0.05  # of several labels


def simulated_answers(task: Task, rng: np.random.Generator, count: int, classes: int = 4) -> tuple[Array, Array]:
    """Return probabilities float64 (count, classes), and labels int64 (count,), or of several (count, classes)."""
    if task.label_sets:
        having = rng.random((count, classes)) < rng.uniform(0.2, 0.5, classes)
        logits = 3 * (having - 0.5) + 2 * rng.normal(size=having.shape)
        labels = np.where(rng.random(having.shape) < UNKNOWN, -1, having)
        return 1 / (1 + np.exp(-logits)), labels.astype(np.int64)
    labels = rng.choice(classes, count, p=np.linspace(2, 1, classes) / (1.5 * classes))
    if task.cuts:
        logits = -2 * (labels[:, None] + rng.normal(size=(count, 1)) - np.arange(classes)) ** 2
    else:
        logits = 3 * (np.eye(classes)[labels] + 0.8 * rng.normal(size=(count, classes)))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True), labels


def calibrated_sets(
    task: Task, probabilities: Array, labels: Array, names: tuple[str, ...], coverage: float
) -> list[ConformalSets]:
    """Return the sets of a task: one, or one of each label."""
    if not task.label_sets:
        return [calibrate(probabilities, labels, coverage, task.set_method(len(names)))]
    of_labels = [
        calibrate_label(event, probabilities, labels, coverage, set_on="calibration", groups=None)
        for event in task.events(names)
    ]
    return [sets for sets in of_labels if sets is not None]
