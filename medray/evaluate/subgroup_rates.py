"""Sensitivity and specificity of every subgroup at the operating points, with the gaps to all other images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array
from medray.decisions.thresholds import OperatingPoint
from medray.json_document import JsonDocument
from medray.stats.compare import holm
from medray.stats.effective_share import effective_share
from medray.stats.label_set_predictions import AnyPredictions
from medray.stats.patients import group_numbers
from medray.stats.rates import Proportion, share_of
from medray.stats.share_gap import ShareGap, share_gap
from medray.text import natural_key

SENSITIVITY, SPECIFICITY = "sensitivity", "specificity"


@dataclass(frozen=True)
class GroupRate(JsonDocument):
    """A rate of the images with one value in a column, and its gap to the rate of all other images.

    Below `medray.stats.patients.ENOUGH_CASES` images or patients neither has an interval; each says why.
    """

    rate: Proportion
    gap: ShareGap

    def with_adjusted_p(self, p: float | None) -> "GroupRate":
        """Return the same rate whose gap has this corrected p."""
        return replace(self, gap=replace(self.gap, adjusted_p=p))


@dataclass(frozen=True)
class GroupRates(JsonDocument):
    """Sensitivity and specificity of the images whose `value` in a column is the same."""

    value: str
    sensitivity: GroupRate
    specificity: GroupRate

    @property
    def rates(self) -> dict[str, GroupRate]:
        """Both rates by name."""
        return {SENSITIVITY: self.sensitivity, SPECIFICITY: self.specificity}


@dataclass(frozen=True)
class SubgroupRates(JsonDocument):
    """The rates of all groups of a column, sorted by value, at the operating point `point` of class `positive`.

    `shared_patients` have images in more than one group; 0 where patients are unknown.
    """

    column: str
    point: str
    positive: str
    shared_patients: int
    groups: tuple[GroupRates, ...]

    @property
    def tested(self) -> Iterator[tuple[GroupRates, str, ShareGap]]:
        """Each gap that was tested, with its group and the name of its rate; that of two groups counts once."""
        for group in self.groups[:1] if len(self.groups) == 2 else self.groups:
            for name, of_group in group.rates.items():
                if of_group.gap.p is not None:
                    yield group, name, of_group.gap


def subgroup_rates(
    points: Sequence[OperatingPoint], predictions: AnyPredictions, columns: Mapping[str, Array],
    groups: Array | None = None, seed: int = 0,
) -> tuple[SubgroupRates, ...]:  # fmt: skip
    """Return the rates of every group of every column at every point, on the images of `predictions` (N,).

    `columns` are text or whole numbers (N,), `groups` (N,) the patient of each image where known. The p-values of
    all gaps are adjusted as one family (`medray.stats.compare.holm`).

    Raises:
        DataError: a patient is missing.
    """
    if groups is not None:
        group_numbers(groups, len(predictions))  # a missing patient is an error of all images, not of a rate
    tables = [
        _rates(name, column, point, predictions, groups, seed)
        for name, column in columns.items()
        for point in points
    ]
    adjusted = iter(holm([gap.p for table in tables for _, _, gap in table.tested]))
    return tuple(_with_adjusted_p(table, adjusted) for table in tables)


def _with_adjusted_p(table: SubgroupRates, adjusted: Iterator[float | None]) -> SubgroupRates:
    """Give each gap that was tested the next of the `adjusted` p-values; both of two groups have the same."""
    groups: list[GroupRates] = []
    for group in table.groups:
        if len(table.groups) != 2 or not groups:
            sensitivity_p, specificity_p = (
                None if rate.gap.p is None else next(adjusted) for rate in group.rates.values()
            )
        sensitivity = group.sensitivity.with_adjusted_p(sensitivity_p)
        specificity = group.specificity.with_adjusted_p(specificity_p)
        groups.append(replace(group, sensitivity=sensitivity, specificity=specificity))
    return replace(table, groups=tuple(groups))


def _rates(
    name: str, column: Array, point: OperatingPoint, predictions: AnyPredictions, groups: Array | None, seed: int
) -> SubgroupRates:
    column = column[point.event.known(predictions.labels)]
    scores, positive, groups = point.event.answers(predictions.probabilities, predictions.labels, groups)
    right = (scores >= point.threshold) == positive
    values = sorted(set(column.tolist()), key=lambda value: natural_key(str(value)))

    def of_group(value: object, of_class: Array) -> GroupRate:
        inside, patients = column[of_class] == value, None if groups is None else groups[of_class]
        hits = right[of_class]
        patients_inside = None if patients is None else patients[inside]
        rate, worth = share_of(hits[inside], patients_inside), effective_share(hits[inside], patients_inside)
        if rate.total and isinstance(worth, str):
            rate = replace(rate, low=None, high=None, reason=worth)
        return GroupRate(rate, share_gap(hits, inside, patients, seed=seed))

    rows = [GroupRates(str(value), of_group(value, positive), of_group(value, ~positive)) for value in values]
    shared = 0
    if groups is not None:
        numbers = group_numbers(groups, len(column)), np.unique(column, return_inverse=True)[1]
        shared = int((np.bincount(np.unique(np.stack(numbers), axis=1)[0]) > 1).sum())
    return SubgroupRates(name, point.name, point.positive, shared, tuple(rows))
