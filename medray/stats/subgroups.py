"""Subgroups: a model's accuracy and AUC for each sex, scanner or hospital, with intervals."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE, Estimate, estimate, group_numbers, resample_counts
from medray.stats.rates import Proportion
from medray.stats.scores import Predictions

ENOUGH = 20
TOO_FEW = "too few to tell"


@dataclass(frozen=True)
class SubgroupScores(JsonDocument):
    """Scores of the images with one value in a column; `flag` is `TOO_FEW` where there are fewer than `ENOUGH`."""

    value: str
    images: int
    accuracy: Proportion
    auc: Estimate
    flag: str | None


def subgroup_scores(
    predictions: Predictions,
    columns: Mapping[str, Array],
    *,
    groups: Array | None = None,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> dict[str, list[SubgroupScores]]:
    """Return the scores of each subgroup: for each column one entry for every value in it, sorted by value.

    `columns` are text or whole numbers (N,), `groups` (N,) the patient of each image where known. The
    interval of the AUC is from a bootstrap within the subgroup, of whole patients where they are known; it
    is None where a class is missing, or where there is only one image or patient.

    Raises:
        DataError: a column does not fit the images or has values of another type, or a patient is missing.
        ConfigError: the resamples, the seed or the confidence are out of range.
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
        subgroup = Predictions(predictions.probabilities[rows], predictions.labels[rows], predictions.classes)
        patients = None if groups is None else groups[rows]
        return SubgroupScores(
            value=str(value),
            images=len(rows),
            accuracy=clustered_proportion(subgroup.correct, patients, confidence),
            auc=_auc(subgroup, patients, resamples, seed, confidence),
            flag=TOO_FEW if len(rows) < ENOUGH else None,
        )

    return {
        name: [scores(value, np.flatnonzero(column == value)) for value in sorted(set(column.tolist()))]
        for name, column in columns.items()
    }


def _auc(predictions: Predictions, groups: Array | None, resamples: int, seed: int, confidence: float) -> Estimate:
    value = predictions.auc()
    if math.isnan(value):
        return Estimate(None, None, None, 0)
    if groups is not None and len(set(groups.tolist())) < 2:
        return Estimate(value, None, None, 0)
    draws = [predictions.auc(counts) for counts in resample_counts(len(predictions), resamples, seed, groups)]
    return estimate(value, np.array(draws), confidence)


def clustered_proportion(
    correct: Array, groups: Array | None = None, confidence: float = CONFIDENCE
) -> Proportion:
    """Return the share of images that are `correct` bool (N,), with its exact interval.

    With `groups` (N,), the patient of each image, the interval is that of the effective number of independent
    images (Korn & Graubard 1998).

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: `correct` is not bool or is empty, or a patient is missing.
    """
    if correct.dtype != np.bool_ or correct.ndim != 1 or not len(correct):
        raise DataError(f"correct is {correct.dtype} {correct.shape}, not bool (N,) of at least one image")
    exact = Proportion.of(int(correct.sum()), len(correct), confidence)
    if groups is None:
        return exact
    from scipy.special import betaincinv

    share, tail = float(correct.mean()), (1 - confidence) / 2
    effective = _effective_images(correct, group_numbers(groups, len(correct)))
    count, rest = share * effective, (1 - share) * effective
    low = float(betaincinv(count, rest + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, rest, 1 - tail)) if rest else 1.0
    return dataclasses.replace(exact, low=low, high=high)


def _effective_images(correct: Array, patients: Array) -> float:
    """Return the effective number of independent images of `patients` int64 (N,), numbered from 0.

    It is their number over the design effect of Rao & Scott (1992), which is at least 1. Where all or none are
    correct the design effect is undefined, and each patient counts as one image.
    """
    images = np.bincount(patients)
    share, clusters = correct.mean(), len(images)
    if share in (0, 1) or clusters < 2:
        return float(clusters)
    residual = np.bincount(patients, weights=correct) - share * images
    variance = clusters / (clusters - 1) * np.square(residual).sum() / len(correct) ** 2
    effect = variance / (share * (1 - share) / len(correct))
    return float(len(correct) / max(1.0, effect))
