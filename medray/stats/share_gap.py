"""The gap between the share of a group and that of all other images, with its interval and a test."""

import math
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.json_document import JsonDocument
from medray.stats.bootstrap import CONFIDENCE
from medray.stats.compare import SIGNIFICANCE
from medray.stats.effective_share import EffectiveShare, effective_share
from medray.stats.patients import group_numbers
from medray.stats.validate import check_confidence

EXCHANGES = 9_999  # draws of the patients that a group has
LEAST_P = 1e-15


@dataclass(frozen=True)
class ShareGap(JsonDocument):
    """How far the share of a group lies above that of all other images; negative where it lies below.

    `p` is two-sided, and `adjusted_p` is corrected for all gaps that were looked at. All figures but the value are
    None where one side has too few images or patients, and `reason` says so.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    reason: str | None = None

    @property
    def shown(self) -> bool:
        """Whether there is a gap, by the corrected p."""
        return self.adjusted_p is not None and self.adjusted_p <= SIGNIFICANCE

    def check(self) -> None:
        """Check that the gap lies in its interval, and that there is a reason where there is none."""
        if self.low is None or self.high is None or self.p is None or self.value is None:
            if self.reason is None or (self.low, self.high, self.p) != (None, None, None):
                raise ValueError("a gap without an interval lacks the reason, or has a p")
        elif not -1 <= self.low <= self.value <= self.high <= 1:
            raise ValueError(f"{self.low} to {self.high} is no interval of the gap {self.value}")


def share_gap(
    hits: Array, inside: Array, groups: Array | None = None, *, confidence: float = CONFIDENCE, seed: int = 0
) -> ShareGap:
    """Return how far the share of `hits` bool (N,) is higher `inside` bool (N,) than among the other images.

    The interval is Newcombe's (1998, method 10) of the two Wilson intervals; with `groups` (N,), the patient of
    each image, of those by patient, as the method of variance estimates recovery has it (Zou & Donner 2008). p is
    the larger one of two: that at which this interval would end at 0, and that of `exchange_p`, with draws by
    `seed`. The two sides are taken to be independent: where patients stand on both and their images are alike, the
    interval is wider than it need be, and p larger.

    Raises:
        DataError: a patient is missing.
        ConfigError: the confidence is not between 0 and 1.
    """
    check_confidence(confidence)
    if not inside.any() or inside.all():
        return ShareGap(None, reason=f"no {'other ' if inside.any() else ''}image")
    value = float(hits[inside].mean() - hits[~inside].mean())
    group, others = (
        effective_share(hits[rows], None if groups is None else groups[rows]) for rows in (inside, ~inside)
    )
    if isinstance(group, str):
        return ShareGap(value, reason=group)
    if isinstance(others, str):
        return ShareGap(value, reason=f"others: {others}")
    low, high = _interval(group, others, (1 - confidence) / 2)
    p = max(_p_of_interval(group, others), exchange_p(hits, inside, groups, seed=seed))
    return ShareGap(value, low, high, p)


def _interval(group: EffectiveShare, others: EffectiveShare, tail: float) -> tuple[float, float]:
    gap = group.value - others.value
    (low, high), (others_low, others_high) = group.interval(tail), others.interval(tail)
    return (
        max(-1.0, gap - math.hypot(group.value - low, others_high - others.value)),
        min(1.0, gap + math.hypot(high - group.value, others.value - others_low)),
    )


def _p_of_interval(group: EffectiveShare, others: EffectiveShare) -> float:
    """Return the p at which the interval of a gap would end at 0."""
    from scipy.optimize import brentq

    if group.value == others.value:
        return 1.0

    def nearer_end(logarithm: float) -> float:
        low, high = _interval(group, others, math.exp(logarithm) / 2)
        return low if group.value > others.value else -high

    least = math.log(LEAST_P)
    return LEAST_P if nearer_end(least) > 0 else math.exp(brentq(nearer_end, least, 0.0))


def exchange_p(hits: Array, inside: Array, groups: Array | None = None, *, seed: int = 0) -> float:
    """Return the two-sided p of the hypothesis that the patients `inside` could as well be any others.

    It is that of Fisher's exact test where each patient has one image, or none are known. Elsewhere whole patients
    are exchanged, `EXCHANGES` times at random by `seed`: p is the share of draws in which the group's hits are at
    least as far from what so many images have on average; the observed draw is one of them. A patient on both
    sides is two. `hits` and `inside` are bool (N,), `groups` are (N,).

    Raises:
        DataError: a patient is missing.
    """
    patients = np.arange(len(hits)) if groups is None else group_numbers(groups, len(hits))
    units, unit = np.unique(patients * 2 + inside, return_inverse=True)
    images, right = np.bincount(unit), np.bincount(unit, weights=hits).astype(np.int64)
    in_group = units % 2 == 1
    total, total_right = len(hits), int(right.sum())
    if len(units) == total:
        from scipy.stats import fisher_exact

        table = np.array([[(hits[rows] == hit).sum() for hit in (True, False)] for rows in (inside, ~inside)])
        return float(fisher_exact(table).pvalue)
    ahead = right * total - images * total_right  # times `total`, so that they are whole numbers
    kinds, counts = np.unique(ahead, return_counts=True)
    rng = np.random.default_rng(seed)
    drawn = min(int(in_group.sum()), int((~in_group).sum()))  # the others are as far ahead as these are behind
    draws = rng.multivariate_hypergeometric(counts, drawn, EXCHANGES, method="marginals") @ kinds
    extreme = int((np.abs(draws) >= abs(int(ahead[in_group].sum()))).sum())
    return (extreme + 1) / (EXCHANGES + 1)
