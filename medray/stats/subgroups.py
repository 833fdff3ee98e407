"""Subgroups: a model's accuracy and AUC for each sex, scanner or hospital, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE, Estimate
from medray.stats.label_set_predictions import AnyPredictions, LabelSetPredictions, predictions_of
from medray.stats.patients import group_numbers, too_few_cases
from medray.stats.rates import Proportion, share_of
from medray.stats.score_intervals import score_interval
from medray.text import natural_key

TOO_FEW = "too few to tell"


@dataclass(frozen=True)
class SubgroupScores(JsonDocument):
    """Scores of the images with one value in a column, without intervals where `flag` is `TOO_FEW`.

    It is set where a class has fewer than `medray.stats.patients.ENOUGH_CASES` images or, if known, patients. Of
    several labels an image `accuracy` is the share with exactly the labels that are called, and the flag also says
    where the AUC is over other labels than that of all images: then the two can't be compared.
    """

    value: str
    images: int
    accuracy: Proportion
    auc: Estimate
    flag: str | None


def subgroup_scores(
    predictions: AnyPredictions,
    columns: Mapping[str, Array],
    *,
    groups: Array | None = None,
    confidence: float = CONFIDENCE,
) -> dict[str, list[SubgroupScores]]:
    """Return the scores of each subgroup: for each column one entry for every value in it, sorted by value.

    `columns` are text or whole numbers (N,), `groups` (N,) the patient of each image where known, by which the
    intervals are then.

    Raises:
        DataError: a column does not fit the images or has values of another type, or a patient is missing.
        ConfigError: the confidence is not between 0 and 1.
    """
    if groups is not None:
        group_numbers(groups, len(predictions))  # a missing patient is an error of all images, not of a subgroup
    for name, column in columns.items():
        if column.shape != (len(predictions),):
            raise DataError(
                f"subgroup '{name}' is {column.shape}, not ({len(predictions)},): one value for each image"
            )
        types = {type(value) for value in column.tolist()}
        if types not in ({str}, {int}, {bool}):
            names = ", ".join(sorted(value_type.__name__ for value_type in types))
            raise DataError(f"subgroup '{name}' holds {names}, not only text or only whole numbers")

    def scores(value: object, rows: Array) -> SubgroupScores:
        subgroup = predictions_of(predictions.probabilities[rows], predictions.labels[rows], predictions.classes)
        patients = None if groups is None else groups[rows]
        auc = score_interval("auc", subgroup, patients, confidence)
        if isinstance(subgroup, LabelSetPredictions):
            judged = subgroup.judged
            share = share_of(subgroup.correct[judged], None if patients is None else patients[judged], confidence)
            assert isinstance(predictions, LabelSetPredictions)
            here, all_images = subgroup.labels_with_auc, predictions.labels_with_auc
            other = f"AUC over {len(here)} of {len(all_images)} labels" if here != all_images else None
            flags = [*([TOO_FEW] if auc.reason else []), *([other] if other else [])]
            return SubgroupScores(str(value), len(rows), share, auc, "; ".join(flags) or None)
        accuracy = share_of(subgroup.correct, patients, confidence)
        reason = too_few_cases(subgroup.labels, subgroup.classes, patients)
        if reason:
            accuracy = replace(accuracy, low=None, high=None, reason=reason)
        return SubgroupScores(str(value), len(rows), accuracy, auc, TOO_FEW if reason else None)

    return {
        name: [
            scores(value, np.flatnonzero(column == value))
            for value in sorted(set(column.tolist()), key=lambda value: natural_key(str(value)))
        ]
        for name, column in columns.items()
    }
