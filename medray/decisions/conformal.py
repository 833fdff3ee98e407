"""Prediction sets that hold the true class at a given rate: split conformal prediction (Vovk et al. 2005).

`calibrate` looks at the ensemble's answers for images that neither trained nor selected its networks;
`ConformalSets.sets` then answers with a set of classes instead of one. If new images are drawn as those were, the
sets hold the true class of at least `coverage` of them, on average over calibrations, whatever the networks are.
That is a promise on all images together, not on each class or each patient; of several labels it is one on the
images with a label, and one on those without it. Sets of other images promise nothing.

    lac    few classes: the smallest sets on average (Sadinle et al. 2019)
    aps    sets that grow on images that are hard (Romano et al. 2020)
    raps   as aps, with a penalty for every class beyond the second: smaller sets (Angelopoulos et al. 2021)
    interval    grades that follow one another (Lu, Angelopoulos & Pomerantz 2022)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.decisions.promises import CALIBRATION, ROUNDING, conformal_level, enough, independent_number
from medray.errors import ConfigError, DataError, unknown_choice_line
from medray.json_document import JsonDocument
from medray.stats.events import Event
from medray.stats.rates import Proportion, share_of
from medray.stats.validate import check_label_range, check_labelled, check_labels, check_probabilities

#: What RAPS adds for each rank beyond `FREE_RANKS`; fixed ahead, since tuned on the same images it would
#: break the promise.
PENALTY, FREE_RANKS = 0.05, 2
TOLERANCE = 1e-7  # a class on the border stays in when another batch rounds otherwise


def _lac(probabilities: Array) -> Array:
    """Return 1 - p of each class."""
    complement: Array = 1 - probabilities
    return complement


def _aps(probabilities: Array) -> Array:
    """Return the summed probability of all classes that are likelier than each."""
    return _likelier(probabilities)[0]


def _raps(probabilities: Array) -> Array:
    """Return APS plus the penalty of each class's rank."""
    total, rank = _likelier(probabilities)
    penalised: Array = total + PENALTY * np.maximum(rank + 1 - FREE_RANKS, 0)
    return penalised


def _likelier(probabilities: Array) -> tuple[Array, Array]:
    """Return the summed probability of the classes likelier than each, and its rank from 0, both (N, classes).

    A class's own probability is left out: with it, a sure answer would be a bad fit, and nearly every set would
    get a second class. Classes of equal probability share one sum, so that their order does not matter.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    falling = np.take_along_axis(probabilities, order, axis=1)
    first = np.ones(falling.shape, dtype=bool)  # whether a class is the first of its equals
    first[:, 1:] = falling[:, 1:] != falling[:, :-1]
    starts = np.maximum.accumulate(np.where(first, np.arange(falling.shape[1]), 0), axis=1)
    before = np.take_along_axis(falling.cumsum(axis=1) - falling, starts, axis=1)
    total, rank = np.empty_like(falling), np.empty(falling.shape, dtype=np.int64)
    np.put_along_axis(total, order, before, axis=1)
    np.put_along_axis(rank, order, starts, axis=1)
    return total, rank


def _interval(probabilities: Array) -> Array:
    """Return the summed probability of the grades that an interval held before it grew to each.

    It grows from the likeliest grade to the likelier of its two neighbours, the lower one where they are equal, so
    the grades of a score up to any quantile follow one another.
    """
    rows, grades = np.arange(len(probabilities)), probabilities.shape[1]
    padded = np.pad(probabilities, ((0, 0), (1, 1)), constant_values=-1.0)  # no grade lies beyond the ends
    low = high = probabilities.argmax(axis=1)
    scores = np.zeros(probabilities.shape)
    held = probabilities[rows, low]
    for _ in range(grades - 1):
        down = padded[rows, low] >= padded[rows, high + 2]
        grown = np.where(down, low - 1, high + 1)
        scores[rows, grown] = held
        held = held + probabilities[rows, grown]
        low, high = np.where(down, grown, low), np.where(down, high, grown)
    return scores


_SCORES: dict[str, Callable[[Array], Array]] = {"lac": _lac, "aps": _aps, "raps": _raps, "interval": _interval}
METHODS = tuple(_SCORES)
INTERVAL = "interval"


def nonconformity(probabilities: Array, method: str) -> Array:
    """Return how badly each class fits each image, float64 (N, classes); smaller is better.

    Scores are not randomised, so that sets are reproducible but slightly conservative.

    Raises:
        ConfigError: the method is unknown.
        DataError: the probabilities can't be used.
    """
    if method not in _SCORES:
        raise ConfigError(unknown_choice_line("method", method, METHODS))
    return _SCORES[method](check_probabilities(probabilities))


@dataclass(frozen=True)
class WithoutLabel(JsonDocument):
    """The quantile of the images without a label, and how many there were, as in `ConformalSets`."""

    quantile: float | None
    images: int
    independent: float

    def check(self) -> None:
        """Check that the numbers can be."""
        if not 0 <= self.independent <= self.images:
            raise ValueError("images or independent is out of range")


@dataclass(frozen=True)
class ConformalSets(JsonDocument):
    """Turn probabilities into sets of the classes whose nonconformity is at most `quantile`.

    `quantile` is None where `independent`, the number of images that it was calibrated on, or what they are worth
    in independent ones, is too small for `coverage`: then nothing can be left out, and every set holds all
    classes. `set_on` names the `images`: the coverage is promised only where it is "calibration". Of several
    labels an image each has sets of its own, of the answers no and yes to `event`: all of this is then of the
    images that have the label, and `without` of the others, so that each kind is covered at that rate.
    """

    method: str
    coverage: float
    quantile: float | None
    images: int
    independent: float
    set_on: str
    event: Event | None
    without: "WithoutLabel | None"

    @property
    def promised(self) -> bool:
        """Whether new images are covered at that rate on average: no network has seen the images."""
        return self.set_on == CALIBRATION

    def sets(self, probabilities: Array) -> Array:
        """Return the set of each image, bool (N, classes), by probabilities (N, classes); of an event (N, 2).

        The likeliest class is always in its set, so that none is empty; this can only raise the coverage.

        Raises:
            DataError: the probabilities can't be used.
        """
        if self.event is not None and self.without is not None:
            return _answers(
                self.event.scores(check_label_range(probabilities)), self.without.quantile, self.quantile
            )
        exact = check_probabilities(probabilities)
        if self.quantile is None:
            return np.ones(exact.shape, dtype=bool)
        inside = nonconformity(exact, self.method) <= self.quantile + TOLERANCE
        if self.method == INTERVAL:  # scores are of the first of several likeliest; others would leave gaps
            inside[np.arange(len(exact)), exact.argmax(axis=1)] = True
        else:
            inside |= exact == exact.max(axis=1, keepdims=True)
        return inside

    def check(self) -> None:
        """Check that the method is known and the quantile can be that of so many images."""
        if self.method not in METHODS:
            raise ValueError(unknown_choice_line("method", self.method, METHODS))
        if not 0 < self.coverage < 1 or not 0 <= self.independent <= self.images:
            raise ValueError("coverage, images or independent is out of range")
        if (self.event is None) != (self.without is None):
            raise ValueError("sets of a label are of images with it and of images without it")
        parts = [(self.quantile, self.independent, self.images)]
        if self.without is not None:
            parts.append((self.without.quantile, self.without.independent, self.without.images))
        for quantile, independent, images in parts:
            if (quantile is None) == enough(self.coverage, independent) or (quantile or 0) < 0:
                raise ValueError(f"the quantile can't be that of {images} images")


def calibrate(
    probabilities: Array, labels: Array, coverage: float, method: str, *,
    set_on: str = CALIBRATION, groups: Array | None = None,
) -> ConformalSets:  # fmt: skip
    """Find the quantile for sets that hold the true class at a rate of `coverage` or more.

    It is the ceil((n + 1) * coverage)-th smallest score of the n images' true classes (Vovk et al. 2005);
    `probabilities` are (n, classes), `labels` int64 (n,). With `groups` (n,), the patient of each image, the share
    of scores below it is for what the images are worth in independent ones (`independent_number`).

    Raises:
        ConfigError: the method is unknown, or the coverage does not lie between 0 and 1.
        DataError: the probabilities or labels can't be used.
    """
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage is {coverage}; it must lie between 0 and 1")
    exact, labels = check_labelled(probabilities, labels)
    scores = nonconformity(exact, method)[np.arange(len(labels)), labels]
    quantile, images, independent = _quantile(scores, coverage, groups)
    return ConformalSets(method, float(coverage), quantile, images, independent, set_on, None, None)


def calibrate_label(
    event: Event, probabilities: Array, labels: Array, coverage: float, *, set_on: str, groups: Array | None
) -> ConformalSets | None:
    """Return the sets of the answers to the label `event`, one of several, by lac for each answer alone.

    With one quantile for both, a rare label's images could be missed and the rate be kept by all the others; so
    the images with the label have their own, and those without it (label-conditional sets, Vovk 2012). Where
    either kind is too few, that answer is in every set. `probabilities` and `labels` are (n, classes); None where
    no image's answer is known.

    Raises:
        ConfigError: the coverage does not lie between 0 and 1.
        DataError: the probabilities can't be used.
    """
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage is {coverage}; it must lie between 0 and 1")
    scores, having, groups = event.answers(check_label_range(probabilities), labels, groups)
    if not len(scores):
        return None

    def part(rows: Array, misfit: Array) -> tuple[float | None, int, float]:
        return _quantile(misfit[rows], coverage, None if groups is None else groups[rows])

    q_with, n_with, units_with = part(having, 1 - scores)
    without = WithoutLabel(*part(~having, scores))
    return ConformalSets("lac", float(coverage), q_with, n_with, units_with, set_on, event, without)


def _answers(scores: Array, without: float | None, having: float | None) -> Array:
    """Return which answers, no and yes, images of these probabilities (n,) may have, bool (n, 2).

    Where an image fits neither answer, nothing is sure, and both are possible.
    """
    limits = [1.0 if limit is None else limit + TOLERANCE for limit in (without, having)]
    inside = np.column_stack([scores <= limits[0], 1 - scores <= limits[1]])
    inside[~inside.any(axis=1)] = True
    return inside


def _quantile(true: Array, coverage: float, groups: Array | None) -> tuple[float | None, int, float]:
    """Return the quantile of the true answers' scores (n,), None where they are too few, n, and its worth."""
    independent = independent_number(true, groups)
    if not enough(coverage, independent):
        return None, len(true), independent
    rank = math.ceil(conformal_level(coverage, independent) * len(true) - ROUNDING)  # (9 + 1) * 0.9 may be above 9
    return float(np.sort(true)[min(max(1, rank), len(true)) - 1]), len(true), independent


@dataclass(frozen=True)
class SetSummary(JsonDocument):
    """The coverage and size of prediction sets on labelled images.

    `covered` is the share whose set holds the true class, `mean_size` the classes in a set, `singletons`
    the share of sets with one class, `not_sure` the share that hold every class and so say nothing.
    """

    covered: Proportion
    mean_size: float
    singletons: Proportion
    not_sure: Proportion


def summarize_sets(sets: Array, labels: Array, groups: Array | None = None) -> SetSummary:
    """Sum up prediction sets, bool (N, classes), against labels int64 (N,); 95% intervals.

    With `groups` (N,), the patient of each image, the intervals are by patient, as `share_of` makes them.

    Raises:
        DataError: the sets, labels or groups can't be used.
    """
    sets = np.asarray(sets)
    if sets.ndim != 2 or sets.shape[1] < 2 or sets.dtype != np.bool_:
        raise DataError(f"sets are {sets.dtype} {sets.shape}, not bool (N, classes) of two classes or more")
    images, classes = sets.shape
    labels = check_labels(labels, images, classes)
    sizes = sets.sum(axis=1)
    covered = share_of(sets[np.arange(images), labels], groups)
    singletons, not_sure = share_of(sizes == 1, groups), share_of(sizes == classes, groups)
    return SetSummary(covered, float(sizes.mean()), singletons, not_sure)
