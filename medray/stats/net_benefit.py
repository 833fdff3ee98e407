"""Net benefit and decision curves (Vickers & Elkin 2006): is it worth acting on a model's probabilities?

At a threshold probability t a false alarm weighs t / (1 - t) of a case that is caught: calling a finding from 10 %
on accepts nine false alarms for a case. The net benefit is counted in cases caught for each image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE
from medray.stats.interval import Interval
from medray.stats.patients import group_numbers
from medray.stats.rates import check_scores, share_of

THRESHOLDS = tuple(percent / 100 for percent in range(1, 100))


@dataclass(frozen=True)
class NetBenefit(JsonDocument):
    """Net benefit at one threshold probability, of the `model` and of calling `all` images; that of none is 0.

    `over_all` is the model's benefit less that of calling all. The model is of use where both intervals lie
    above 0.
    """

    threshold: float
    model: Interval
    all: float
    over_all: Interval


def decision_curve(
    scores: Array,
    positive: Array,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    groups: Array | None = None,
    confidence: float = CONFIDENCE,
) -> list[NetBenefit]:
    """Return the net benefit of the decision `scores >= threshold` at each threshold, in their order.

    Takes scores (N,) in 0..1, `positive` bool (N,), and `groups` (N,), the patient of each image where known. The
    intervals join those of the shares that are gained and lost (Donner & Zou 2012, MOVER), which are exact, or
    with patients of the effective number of images: they hold where a few cases decide, too.

    Raises:
        DataError: scores or positive can't be used, a threshold is not between 0 and 1, or a patient is missing.
    """
    scores, positive = check_scores(scores, positive)
    clusters = np.arange(len(scores)) if groups is None else group_numbers(groups, len(scores))
    points = []
    for threshold in thresholds:
        if not 0 < threshold < 1:
            raise DataError(f"threshold probability is {threshold}; it must lie between 0 and 1")
        weight, called = threshold / (1 - threshold), scores >= threshold
        every = float(positive.mean() - weight * (~positive).mean())
        caught, false_alarms = called & positive, called & ~positive
        missed, cleared = ~called & positive, ~called & ~positive
        model = _benefit(caught, 1.0, false_alarms, weight, clusters, confidence)
        over_all = _benefit(cleared, weight, missed, 1.0, clusters, confidence)
        points.append(NetBenefit(float(threshold), model, every, over_all))
    return points


def _benefit(gained: Array, gain: float, lost: Array, loss: float, clusters: Array, confidence: float) -> Interval:
    """Return `gain` times the share of images `gained` bool (N,), less `loss` times that `lost`."""
    shares = [share_of(images, clusters, confidence) for images in (gained, lost)]
    values, lows, highs = (
        np.array([getattr(share, end) for share in shares], dtype=np.float64) * (gain, loss)
        for end in ("value", "low", "high")
    )
    residuals = [np.bincount(clusters, weights=images - images.mean()) for images in (gained, lost)]
    size = math.sqrt(math.prod(float(r @ r) for r in residuals))
    correlation = float(residuals[0] @ residuals[1]) / size if size else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0))

    if any(share.low is None for share in shares):  # too few patients
        return Interval(float(values[0] - values[1]), None, None)
    value, below, above = values[0] - values[1], values - lows, highs - values
    low, high = value - reach(below[0], above[1]), value + reach(above[0], below[1])
    return Interval(float(value), float(low), float(high))
