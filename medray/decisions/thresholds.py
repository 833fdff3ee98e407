"""Operating points: from which probability on an image is called positive, and what that costs.

A score is the probability of the positive class, a decision is `score >= threshold`. A threshold is set
midway between two neighbouring scores, so that rounding in another batch does not flip an image.
The rates that come with it are those of the images it was set on, and so a little too good.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError, unknown_choice_line
from medray.json_document import JsonDocument
from medray.stats.rates import Rates, check_scores, measure_rates
from medray.stats.validate import check_labelled, check_probabilities, class_index

KINDS = ("sensitivity", "youden", "cost")
NOTHING_POSITIVE = math.nextafter(1.0, 2.0)  # a threshold above every probability


class Candidates(NamedTuple):
    """All decisions that some threshold can make: thresholds rise, what they call positive shrinks."""

    thresholds: Array
    hits: Array
    false_alarms: Array
    positives: int
    negatives: int


def candidates(scores: Array, positive: Array) -> Candidates:
    """List the thresholds that tell scores (N,) apart, and what each would find and falsely call.

    They are 0, midways between neighbouring distinct scores, and one just above 1; where floats leave no
    room for a midway it is the higher score. `positive` is bool (N,); counts are int64.

    Raises:
        DataError: the scores can't be used, or all or none of the images are positive.
    """
    scores, positive = check_scores(scores, positive)
    if positive.all() or not positive.any():
        raise DataError("a threshold needs images that are positive and images that are not; one kind is missing")
    values, place = np.unique(scores, return_inverse=True)
    low, high = values[:-1], values[1:]
    middle = low + (high - low) / 2
    middle = np.where(middle > low, middle, high)

    def from_here_up(chosen: Array) -> Array:
        at = np.bincount(place[chosen], minlength=len(values))
        return np.append(at[::-1].cumsum()[::-1], 0)

    thresholds = np.concatenate([[0.0], middle, [NOTHING_POSITIVE]])
    positives = int(positive.sum())
    hits, false_alarms = from_here_up(positive), from_here_up(~positive)
    return Candidates(thresholds, hits, false_alarms, positives, len(positive) - positives)


def at_sensitivity(scores: Array, positive: Array, target: float) -> float:
    """The highest threshold whose sensitivity on these images is at least `target`, in 0..1 but not 0.

    None that reaches the target is more specific. `scores` are (N,), `positive` is bool (N,).

    Raises:
        ConfigError: the target is no such number.
        DataError: the scores can't be used, or all or none of the images are positive.
    """
    _check_value("sensitivity", target)
    found = candidates(scores, positive)
    reached = np.flatnonzero(found.hits / found.positives >= target)
    return float(found.thresholds[reached[-1]])


def at_youden(scores: Array, positive: Array) -> float:
    """The threshold of the highest sensitivity + specificity - 1 (Youden 1950); of equals the more sensitive.

    `scores` are (N,), `positive` is bool (N,).

    Raises:
        DataError: the scores can't be used, or all or none of the images are positive.
    """
    found = candidates(scores, positive)
    # Times positives * negatives it is a whole number, so equals are equal; argmax takes the lowest threshold.
    index = found.hits * found.negatives - found.false_alarms * found.positives
    return float(found.thresholds[index.argmax()])


def at_cost(scores: Array, positive: Array, ratio: float) -> float:
    """The threshold of the lowest ratio * misses + false alarms; of equals the more sensitive.

    `ratio` says how many false alarms one miss is worth. `scores` are (N,), `positive` is bool (N,).

    Raises:
        ConfigError: the ratio is not a number above 0.
        DataError: the scores can't be used, or all or none of the images are positive.
    """
    _check_value("cost", ratio)
    found = candidates(scores, positive)
    cost = ratio * (found.positives - found.hits) + found.false_alarms
    least = np.isclose(cost, cost.min(), rtol=1e-14, atol=0.0)  # 0.1 * 30 is more than 3 by rounding only
    return float(found.thresholds[least.argmax()])


def _check_value(kind: str, value: float | None) -> None:
    """Check a rule's number: a sensitivity in 0..1 but not 0, a cost above 0, none for Youden's."""
    if kind == "youden":
        if value is not None:
            raise ConfigError(f"rule 'youden' takes no number, not {value}")
        return
    most, allowed = (1.0, "above 0 and at most 1") if kind == "sensitivity" else (math.inf, "above 0")
    if value is None or not (0 < value <= most and math.isfinite(value)):
        raise ConfigError(f"rule '{kind}' needs a number {allowed}, not {value}")


@dataclass(frozen=True)
class Rule:
    """How a threshold is to be set: at a sensitivity, by Youden's index, or by the cost of a miss.

    Raises:
        ConfigError: the kind is unknown, or its number is missing or out of range.
    """

    kind: str
    value: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(unknown_choice_line("rule", self.kind, KINDS))
        _check_value(self.kind, self.value)

    @property
    def name(self) -> str:
        """The rule in words, such as "sensitivity 0.95"."""
        return self.kind if self.value is None else f"{self.kind} {self.value:.12g}"

    def threshold(self, scores: Array, positive: Array) -> float:
        """Set a threshold on scores (N,) of images that are `positive` bool (N,).

        Raises:
            DataError: the scores can't be used, or all or none of the images are positive.
        """
        if self.value is None:
            return at_youden(scores, positive)
        way = at_sensitivity if self.kind == "sensitivity" else at_cost
        return way(scores, positive, self.value)


@dataclass(frozen=True)
class OperatingPoint(JsonDocument):
    """A threshold for one class, the rule that set it, and its rates on the images that it was set on.

    `name` is the rule's, `positive` the class at `class_index`, `images` how many `set_on` held
    ("val", "out-of-fold").
    """

    name: str
    positive: str
    class_index: int
    threshold: float
    rates: Rates
    images: int
    set_on: str

    def decide(self, probabilities: Array) -> Array:
        """Whether each image is called positive, bool (N,), by probabilities (N, classes).

        Raises:
            DataError: the probabilities can't be used, or lack the class.
        """
        exact = check_probabilities(probabilities)  # float64: a float32 threshold could fall on a score
        if self.class_index >= exact.shape[1]:
            raise DataError(
                f"probabilities are of {exact.shape[1]} classes; '{self.positive}' is at {self.class_index}"
            )
        decided: Array = exact[:, self.class_index] >= self.threshold
        return decided

    def check(self) -> None:
        """Check that index, threshold and number of images can be."""
        if self.class_index < 0 or not 0 <= self.threshold <= NOTHING_POSITIVE:
            raise ValueError("class_index or threshold is out of range")
        if self.images != self.rates.images:
            raise ValueError(f"{self.images} images, but rates of {self.rates.images}")


def set_point(
    rule: Rule, probabilities: Array, labels: Array, class_names: Sequence[str], positive: str | None, set_on: str
) -> OperatingPoint:
    """Set an operating point by `rule` on probabilities (N, classes) of images with labels int64 (N,).

    `positive` is the class to call. `set_on` names the images; they must not be those that the result is
    reported on.

    Raises:
        ConfigError: `positive` is no class, or None.
        DataError: the predictions can't be used, or all or none of the images are of the class.
    """
    exact, labels = check_labelled(probabilities, labels)
    if len(class_names) != exact.shape[1]:
        raise DataError(f"probabilities are of {exact.shape[1]} classes, but {len(class_names)} are named")
    index = class_index(positive, class_names)
    wanted, name = labels == index, class_names[index]
    if not wanted.any() or wanted.all():
        which = "another class than" if wanted.all() else "class"
        raise DataError(f"no image of {set_on} is of {which} '{name}': no threshold can be set on it")
    threshold = rule.threshold(exact[:, index], wanted)
    rates = measure_rates(exact[:, index], wanted, threshold)
    return OperatingPoint(rule.name, name, index, threshold, rates, len(labels), set_on)
