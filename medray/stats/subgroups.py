"""Subgroups: how a model does for each sex, scanner or hospital, and how little a small one tells."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.stats.bootstrap import CONFIDENCE, Estimate, estimate, group_numbers, resample_counts
from medray.stats.rates import Proportion
from medray.stats.scores import Measure

ENOUGH = 20
TOO_FEW = "too few to tell"


@dataclass(frozen=True)
class SubgroupRow:
    """The images that have one value in a column; `flag` is `TOO_FEW` where there are fewer than `ENOUGH`."""

    value: str
    images: int
    accuracy: Proportion
    auc: Estimate
    flag: str | None


def subgroups(
    measure: Measure,
    columns: Mapping[str, Array],
    *,
    groups: Array | None = None,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> dict[str, list[SubgroupRow]]:
    """Measure each subgroup by itself: for each column a row for every value in it, in order.

    `columns` are text or whole numbers (N,) and `groups` (N,) the patient of each image where known. The
    interval of the AUC is from a bootstrap within the subgroup, of whole patients where they are known; it
    is None where a class is missing, or where there is but one image or patient.

    Raises:
        DataError: a column does not fit the images or holds something else, or a patient is not known.
        ConfigError: the resamples, the seed or the confidence are out of range.
    """
    if groups is not None:
        group_numbers(groups, len(measure))  # a patient that is missing is told of at once, and of all images
    found = {}
    for name, column in columns.items():
        _check_column(name, column, len(measure))
        found[name] = [
            _row(str(value), measure, np.flatnonzero(column == value), groups, resamples, seed, confidence)
            for value in sorted(set(column.tolist()))
        ]
    return found


def _row(
    value: str, whole: Measure, own: Array, groups: Array | None, resamples: int, seed: int, confidence: float
) -> SubgroupRow:
    measure = Measure(whole.probabilities[own], whole.labels[own], whole.classes)
    patients = None if groups is None else groups[own]
    return SubgroupRow(
        value=value,
        images=len(own),
        accuracy=proportion(measure.correct, patients, confidence),
        auc=_auc(measure, patients, resamples, seed, confidence),
        flag=TOO_FEW if len(own) < ENOUGH else None,
    )


def _auc(measure: Measure, groups: Array | None, resamples: int, seed: int, confidence: float) -> Estimate:
    value = measure.auc()
    if math.isnan(value):
        return Estimate(None, None, None, 0)
    if groups is not None and len(set(groups.tolist())) < 2:
        return Estimate(value, None, None, 0)
    draws = [measure.auc(counts) for counts in resample_counts(len(measure), resamples, seed, groups)]
    return estimate(value, np.array(draws), confidence)


def proportion(right: Array, groups: Array | None = None, confidence: float = CONFIDENCE) -> Proportion:
    """The share of images that are `right` bool (N,), with its exact interval.

    With `groups` (N,), the patient of each image, the interval is that of as many independent images as
    these are worth (Korn & Graubard 1998): their number over the design effect of Rao & Scott (1992), which
    is at least 1. Where all or none are right that can't be told, and each patient counts as one image.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: `right` is not bool or is empty, or a patient is not known.
    """
    if right.dtype != np.bool_ or right.ndim != 1 or not len(right):
        raise DataError(f"right is {right.dtype} {right.shape}, not bool (N,) of at least one image")
    found = Proportion.of(int(right.sum()), len(right), confidence)
    if groups is None:
        return found
    from scipy.special import betaincinv

    share, tail = float(right.mean()), (1 - confidence) / 2
    worth = _independent(right, group_numbers(groups, len(right)))
    count, rest = share * worth, (1 - share) * worth
    low = float(betaincinv(count, rest + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, rest, 1 - tail)) if rest else 1.0
    return dataclasses.replace(found, low=low, high=high)


def _independent(right: Array, patients: Array) -> float:
    """How many independent images those of `patients` int64 (N,), numbered from 0, are worth."""
    images = np.bincount(patients)
    share, clusters = right.mean(), len(images)
    if share in (0, 1) or clusters < 2:
        return float(clusters)
    residual = np.bincount(patients, weights=right) - share * images
    variance = clusters / (clusters - 1) * np.square(residual).sum() / len(right) ** 2
    effect = variance / (share * (1 - share) / len(right))
    return float(len(right) / max(1.0, effect))


def _check_column(name: str, column: Array, images: int) -> None:
    if column.shape != (images,):
        raise DataError(f"subgroup '{name}' is {column.shape}, not ({images},): one value for each image")
    kinds = {type(value) for value in column.tolist()}
    if not kinds <= {str} and not kinds <= {int} and not kinds <= {bool}:
        words = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"subgroup '{name}' holds {words}: only text, or only whole numbers, can be told apart")
