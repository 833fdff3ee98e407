"""Scores of each class against the rest, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.json_document import JsonDocument
from medray.stats.auc_interval import auc_interval
from medray.stats.bootstrap import Estimate
from medray.stats.metrics import recall_precision_f1
from medray.stats.rates import Proportion, share_of
from medray.stats.scores import Predictions


@dataclass(frozen=True)
class ClassScores(JsonDocument):
    """Scores of one class against the rest; a share of no images has no value, and an F1 of none is 0.

    `recall` is the sensitivity, `precision` the positive predictive value.
    """

    name: str
    images: int
    precision: Proportion
    recall: Proportion
    specificity: Proportion
    f1: float
    auc: Estimate


def class_scores(
    predictions: Predictions, class_names: Sequence[str], groups: Array | None = None
) -> list[ClassScores]:
    """Return each class's scores against the rest, in the order of `class_names`.

    With `groups` (N,), the patient of each image, the 95 % intervals are by patient.

    Raises:
        DataError: there is not one name for each class, or a patient is missing.
    """
    if len(class_names) != predictions.classes:
        raise DataError(f"{len(class_names)} class names for {predictions.classes} classes")
    f1 = recall_precision_f1(predictions.confusion.astype(np.float64))[2]

    def scores(c: int, name: str) -> ClassScores:
        of_class, called = predictions.labels == c, predictions.predicted == c

        def share(hits: Array, images: Array) -> Proportion:
            return share_of(hits[images], None if groups is None else groups[images])

        chance = predictions.probabilities[:, c].astype(np.float64)
        against_rest = np.stack([1 - chance, chance], axis=1)
        return ClassScores(
            name=name,
            images=int(of_class.sum()),
            precision=share(of_class, called),
            recall=share(called, of_class),
            specificity=share(~called, ~of_class),
            f1=float(f1[c]),
            auc=auc_interval(against_rest, of_class.astype(np.int64), groups),
        )

    return [scores(c, name) for c, name in enumerate(class_names)]
