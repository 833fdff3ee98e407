"""Scores that each patient moves by so much: their intervals, and the test of a difference between two models.

An influence is what an image, or all images of a patient, add to a score; the sum of its squares is the variance
(DeLong et al. 1988 for an AUC, Obuchowski 1997 with patients). Those of two models on the same patients are
subtracted, which gives the variance of their paired difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.stats.bootstrap import Estimate
from medray.stats.effective import ADDED, effective_interval, effective_number
from medray.stats.patients import group_numbers

ONE_PATIENT = "nearly all images of a class are of one patient"


@dataclass(frozen=True, eq=False)
class Influence:
    """How much each patient moves a score of `value`: each image, where no patients are known.

    `by_class` float64 (patients, classes) is the part that comes from a patient's images of each class, with the
    small-sample factor: the variance is the sum of the squares of `by_patient`. `patients` (classes,) are the
    effective numbers. `added` (kinds, classes) is what one patient more of a class would do, of a kind that hardly
    occurs. The score lies in `least`..`most`. Where columns are `overlapping`, as those of several labels are, the
    same patients move a score by several of them, perhaps all in one direction.
    """

    value: float
    by_class: Array
    patients: Array
    added: Array
    most: float = 1.0
    least: float = 0.0
    overlapping: bool = False

    @property
    def width(self) -> float:
        """How far apart the lowest and the highest score are."""
        return self.most - self.least

    @property
    def by_patient(self) -> Array:
        """The influence of each patient, float64 (patients,)."""
        total: Array = self.by_class.sum(axis=1)
        return total

    def interval(self, confidence: float) -> Estimate:
        """Return the score with Wilson's interval of the effective number of patients."""
        if self.patients.min() < 2:
            return Estimate(self.value, None, None, ONE_PATIENT)
        variance = float(np.square(self.by_patient / self.width).sum())
        overlap = _overlap(self.by_class) if self.overlapping else 1.0
        degrees = _degrees(self.by_class, self.added, self.patients, overlap)
        added, share = self.added.ravel() / self.width, (self.value - self.least) / self.width
        low, high = effective_interval(share, variance, added * math.sqrt(overlap), degrees, confidence)
        return Estimate(self.value, self.least + low * self.width, self.least + high * self.width)


@dataclass(frozen=True)
class Difference:
    """The difference of two scores, its interval and the two-sided p of Student's t."""

    value: float
    low: float
    high: float
    p: float


def difference(reference: Influence, other: Influence, confidence: float) -> Difference | None:
    """Return how much `reference`'s score is above that of `other` on the same images; None for too few patients.

    Models without any difference between their influences are the same: their interval is empty and p is 1.
    """
    from scipy.special import stdtr, stdtrit

    value, by_class = reference.value - other.value, reference.by_class - other.by_class
    if not by_class.any() and not value:
        return Difference(0.0, 0.0, 0.0, 1.0)
    if reference.patients.min() < 2:
        return None
    added = np.maximum(np.abs(reference.added), np.abs(other.added))
    overlap = _overlap(by_class) if reference.overlapping else 1.0
    variance = float(np.square(by_class.sum(axis=1)).sum())
    error = math.sqrt(variance + ADDED * overlap * float(np.square(added).sum()))
    degrees = _degrees(by_class, added, reference.patients, overlap)
    half = error * float(stdtrit(degrees, (1 + confidence) / 2))
    p = 2 * float(stdtr(degrees, -abs(value) / error))
    return Difference(value, max(-reference.width, value - half), min(reference.width, value + half), p)


def _overlap(by_class: Array) -> float:
    """Return how many times the variance of independent columns the sum over patients has, at least 1.

    It is the number of columns where all say the same: then what a column adds must count as often, too.
    """
    alone = float(np.square(by_class).sum())
    return max(1.0, float(np.square(by_class.sum(axis=1)).sum()) / alone) if alone else 1.0


def _degrees(by_class: Array, added: Array, patients: Array, overlap: float) -> float:
    """Return the degrees of freedom of a variance (Satterthwaite 1946) that is a sum over classes.

    They are at least the effective `patients` (classes,) of the rarest class, less 1.
    """
    parts = np.square(by_class).sum(axis=0) + ADDED * np.square(added).sum(axis=0)
    degrees = float(parts.sum() ** 2 / (np.square(parts) / (patients - 1)).sum())
    return max(degrees / overlap, float(patients.min()) - 1)


def influence_of_mean(values: Array, added: Sequence[float], most: float, groups: Array | None) -> Influence:
    """Return the influences on the mean of `values` (N,) in 0..`most`, and of added patients of these values.

    `groups` (N,) are the patients, where known.

    Raises:
        DataError: a patient is missing.
    """
    patients = np.arange(len(values)) if groups is None else group_numbers(groups, len(values))
    sizes, mean = np.bincount(patients), float(values.mean())
    residuals = np.bincount(patients, weights=values - mean) * unbiased(len(sizes)) / len(values)
    number = effective_number(sizes)
    change = (np.array(added)[:, None] - mean) / number
    return Influence(mean, residuals[:, None], np.array([number]), change, most)


def unbiased(patients: int) -> float:
    """Return what influences of so many patients about their mean are multiplied by: sqrt(n / (n - 1))."""
    return math.sqrt(patients / (patients - 1)) if patients > 1 else 1.0
