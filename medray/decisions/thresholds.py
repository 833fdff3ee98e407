"""Operating points: the probability from which an image is called positive, and the rates that follow from it.

A score is the probability of the positive class, a decision is `score >= threshold`. A threshold is set
midway between two neighbouring scores, so that rounding in another batch does not flip an image.

A sensitivity is promised where the images that set it neither trained nor selected a network, and are enough: then
the mean sensitivity on new images is at least the target (see `at_sensitivity`). The rates on the images that set
a threshold are slightly optimistic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from medray._types import Array
from medray.decisions.promises import CALIBRATION, ROUNDING, conformal_level, enough, independent_number
from medray.errors import ConfigError, DataError, unknown_choice_line
from medray.json_document import JsonDocument
from medray.stats.events import Event
from medray.stats.rates import Rates, check_scores, measure_rates
from medray.stats.validate import check_label_range, check_label_sets, check_labelled

KINDS = ("sensitivity", "youden", "cost")
NOTHING_POSITIVE = math.nextafter(1.0, 2.0)  # a threshold above every probability


class Candidates(NamedTuple):
    """All decisions that some threshold can make, by rising threshold: `hits` and `false_alarms` fall."""

    thresholds: Array
    hits: Array
    false_alarms: Array
    positives: int
    negatives: int


def candidates(scores: Array, positive: Array) -> Candidates:
    """List the thresholds between scores (N,), with the hits and false alarms of each.

    They are 0, the midpoints of neighbouring distinct scores, and one just above 1; where no float lies between
    two scores, the higher one. `positive` is bool (N,); counts are int64.

    Raises:
        DataError: the scores can't be used, or all or none of the images are positive.
    """
    scores, positive = check_scores(scores, positive)
    if positive.all() or not positive.any():
        raise DataError("a threshold needs images that are positive and images that are not; one kind is missing")
    values, indices = np.unique(scores, return_inverse=True)
    low, high = values[:-1], values[1:]
    middle = low + (high - low) / 2
    middle = np.where(middle > low, middle, high)

    def count_from_each_up(images: Array) -> Array:
        counts = np.bincount(indices[images], minlength=len(values))
        return np.append(counts[::-1].cumsum()[::-1], 0)

    thresholds = np.concatenate([[0.0], middle, [NOTHING_POSITIVE]])
    positives = int(positive.sum())
    hits, false_alarms = count_from_each_up(positive), count_from_each_up(~positive)
    return Candidates(thresholds, hits, false_alarms, positives, len(positive) - positives)


def at_sensitivity(scores: Array, positive: Array, target: float, groups: Array | None = None) -> float:
    """Return the highest threshold whose sensitivity on new images is on average at least `target`, in 0..1.

    Of n positive images it hits at least (n + 1) * target, as a conformal quantile does (Vovk et al. 2005): the
    next positive image is equally likely to rank anywhere among them. With `groups` (N,), the patient of each
    image, n is what the images are worth in independent ones. Where n is too small for that (19 for a target of
    0.95), it hits all of them. `scores` are (N,), `positive` is bool (N,).

    Raises:
        ConfigError: the target is out of range.
        DataError: the scores can't be used, or all or none of the images are positive.
    """
    _check_value("sensitivity", target)
    decisions = candidates(scores, positive)
    cases = independent_number(scores[positive], None if groups is None else groups[positive])
    share = min(1.0, conformal_level(target, cases))
    reached = np.flatnonzero(decisions.hits >= share * decisions.positives - ROUNDING)
    return float(decisions.thresholds[reached[-1]])


def at_youden(scores: Array, positive: Array) -> float:
    """Return the threshold of the highest sensitivity + specificity - 1 (Youden 1950), of equals the lowest.

    `scores` are (N,), `positive` is bool (N,).

    Raises:
        DataError: the scores can't be used, or all or none of the images are positive.
    """
    decisions = candidates(scores, positive)
    # Times positives * negatives it is a whole number, so equals are equal; argmax takes the lowest threshold.
    index = decisions.hits * decisions.negatives - decisions.false_alarms * decisions.positives
    return float(decisions.thresholds[index.argmax()])


def at_cost(scores: Array, positive: Array, ratio: float) -> float:
    """Return the threshold of the lowest ratio * misses + false alarms, of equals the lowest.

    `ratio` is the cost of a miss in false alarms. `scores` are (N,), `positive` is bool (N,).

    Raises:
        ConfigError: the ratio is not a number above 0.
        DataError: the scores can't be used, or all or none of the images are positive.
    """
    _check_value("cost", ratio)
    decisions = candidates(scores, positive)
    cost = ratio * (decisions.positives - decisions.hits) + decisions.false_alarms
    least = np.isclose(cost, cost.min(), rtol=1e-14, atol=0.0)  # 0.1 * 30 is more than 3 by rounding only
    return float(decisions.thresholds[least.argmax()])


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
class Rule(JsonDocument):
    """How to set a threshold: at a sensitivity, by Youden's index, or by the cost of a miss.

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
        """Kind and number, such as "sensitivity 0.95"."""
        return self.kind if self.value is None else f"{self.kind} {self.value:.12g}"

    def threshold(self, scores: Array, positive: Array, groups: Array | None = None) -> float:
        """Set a threshold on scores (N,) of images that are `positive` bool (N,), of the patients `groups` (N,).

        Raises:
            DataError: the scores can't be used, or all or none of the images are positive.
        """
        if self.value is None:
            return at_youden(scores, positive)
        if self.kind == "sensitivity":
            return at_sensitivity(scores, positive, self.value, groups)
        return at_cost(scores, positive, self.value)


@dataclass(frozen=True)
class OperatingPoint(JsonDocument):
    """A threshold for one class, the rule that set it, and its rates on the images that it was set on.

    The rates have intervals only where a sensitivity is promised: elsewhere they are too good for the images to
    say.

    `event` is what it calls, `images` how many `set_on` held ("calibration", "val",
    "out-of-fold"). `independent_cases` is the number of positive images among them, or what they are worth in
    independent ones where patients are known.
    """

    rule: Rule
    event: Event
    threshold: float
    rates: Rates
    images: int
    set_on: str
    independent_cases: float

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.name

    @property
    def positive(self) -> str:
        """The event's name."""
        return self.event.name

    @property
    def promised(self) -> float | None:
        """The mean sensitivity that new images have at least, None where there is no such promise."""
        target = self.rule.value
        if self.rule.kind != "sensitivity" or target is None or self.set_on != CALIBRATION:
            return None
        return target if enough(target, self.independent_cases) else None

    def decide(self, probabilities: Array) -> Array:
        """Return whether each image is called positive, bool (N,), by probabilities (N, classes).

        Raises:
            DataError: the probabilities can't be used, or lack the class.
        """
        decided: Array = self.event.scores(check_label_range(probabilities)) >= self.threshold
        return decided

    def check(self) -> None:
        """Check that threshold and number of images can be."""
        if not 0 <= self.threshold <= NOTHING_POSITIVE:
            raise ValueError("the threshold is out of range")
        if self.images != self.rates.images:
            raise ValueError(f"{self.images} images, but rates of {self.rates.images}")


def set_point(
    rule: Rule, probabilities: Array, labels: Array, class_names: Sequence[str], positive: str | None, set_on: str,
    groups: Array | None = None, *, cut: bool = False,
) -> OperatingPoint:  # fmt: skip
    """Set an operating point by `rule` on probabilities (N, classes) of images with labels int64 (N,).
    Where images have several, labels are (N, classes), and images count whose label is known.

    `positive` is the class that it calls; with `cut` it calls that grade and all above it. `set_on` names the
    images, which must not be those that the result is reported on; `groups` (N,) are their patients where known.

    Raises:
        ConfigError: `positive` is no class, or None, or as a cut the lowest.
        DataError: the predictions can't be used, or all or none of the images are of the class.
    """
    exact, labels = (check_label_sets if labels.ndim == 2 else check_labelled)(probabilities, labels)
    if len(class_names) != exact.shape[1]:
        raise DataError(f"probabilities are of {exact.shape[1]} classes, but {len(class_names)} are named")
    event = Event.named(positive, class_names, cut=cut)
    scores, having, groups = event.answers(exact, labels, groups)
    if not having.any() or having.all():
        which = "another class than" if having.all() else "class"
        raise DataError(f"no image of {set_on} is of {which} '{event.name}': no threshold can be set on it")
    threshold = rule.threshold(scores, having, groups)
    rates = measure_rates(scores, having, threshold, groups)
    cases = independent_number(scores[having], None if groups is None else groups[having])
    point = OperatingPoint(rule, event, threshold, rates, len(scores), set_on, cases)
    if point.promised is None:
        return replace(point, rates=rates.without_intervals("these images set the threshold"))
    return point
