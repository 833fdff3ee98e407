"""Shares of images with their intervals, by patient where patients are known, and the rates of a decision.

The rates are sensitivity, specificity, PPV and NPV.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.json_document import JsonDocument
from medray.stats.effective_share import effective_share
from medray.stats.patients import group_numbers
from medray.stats.validate import check_confidence


@dataclass(frozen=True)
class Proportion(JsonDocument):
    """A proportion, `count` of `total`, with the ends of its interval; all three are None where total is 0.

    `reason` says why there is a value but no interval.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int
    total: int
    reason: str | None = None

    @classmethod
    def of(cls, count: int, total: int, confidence: float = 0.95) -> "Proportion":
        """Return a proportion with its exact interval (Clopper & Pearson 1934), whose coverage is never too low.

        Raises:
            DataError: count does not lie in 0..total.
            ConfigError: the confidence does not lie between 0 and 1.
        """
        count, total = int(count), int(total)
        if not 0 <= count <= total:
            raise DataError(f"{count} of {total} is no proportion: the count must lie in 0..{total}")
        check_confidence(confidence)
        if total == 0:
            return cls(None, None, None, 0, 0)
        from scipy.special import betaincinv

        tail = (1 - confidence) / 2
        low = float(betaincinv(count, total - count + 1, tail)) if count else 0.0
        high = float(betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
        return cls(count / total, low, high, count, total)

    def check(self) -> None:
        """Check that the share is that of the counts, and lies in its interval."""
        if self.value is None:
            valid = (self.low, self.high, self.count, self.total) == (None, None, 0, 0)
        else:
            valid = 0 <= self.count <= self.total != 0
            valid = valid and math.isclose(self.value, self.count / self.total, abs_tol=1e-9)
            if self.low is None or self.high is None:
                valid = valid and self.low is None and self.high is None and self.reason is not None
            else:
                valid = valid and 0 <= self.low <= self.value <= self.high <= 1
        if not valid:
            raise ValueError(f"{self.count} of {self.total} has another share or interval")


def share_of(hits: Array, groups: Array | None = None, confidence: float = 0.95) -> Proportion:
    """Return the share of images that are `hits` bool (N,), with its interval.

    Where no patients are known, or each has one image, the interval is the exact one of `Proportion.of`. With
    `groups` (N,), the patient of each image, it is Wilson's of the effective number of images
    (`medray.stats.effective_share`), from the variance between patients (Rao & Scott 1992). Fewer than 10 patients
    have none.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: `hits` is not bool, or a patient is missing.
    """
    if hits.dtype != np.bool_ or hits.ndim != 1:
        raise DataError(f"hits are {hits.dtype} {hits.shape}, not bool (N,)")
    exact = Proportion.of(int(hits.sum()), len(hits), confidence)
    if groups is None or exact.value is None:
        return exact
    if len(np.unique(group_numbers(groups, len(hits)))) == len(hits):
        return exact
    effective = effective_share(hits, groups)
    if isinstance(effective, str):
        return replace(exact, low=None, high=None, reason=effective)
    low, high = effective.interval((1 - confidence) / 2)
    return replace(exact, low=low, high=high)


@dataclass(frozen=True)
class Rates(JsonDocument):
    """The rates of a yes-or-no decision; one whose total is 0 has no value.

    `tp` and `fn` are the positive images that are called positive and that are missed, `fp` and `tn` the
    others that are called and that are not. PPV and NPV hold at these images' own share of positives only.
    """

    sensitivity: Proportion
    specificity: Proportion
    ppv: Proportion
    npv: Proportion
    tp: int
    fp: int
    tn: int
    fn: int

    @classmethod
    def of(cls, tp: int, fp: int, tn: int, fn: int, confidence: float = 0.95) -> "Rates":
        """Return the rates of these counts, with intervals of this confidence.

        Raises:
            DataError: a count is below 0.
            ConfigError: the confidence does not lie between 0 and 1.
        """
        shares = {name: Proportion.of(*pair, confidence) for name, pair in _shares(tp, fp, tn, fn).items()}
        return cls(**shares, tp=tp, fp=fp, tn=tn, fn=fn)

    def without_intervals(self, reason: str) -> "Rates":
        """Return the same rates without intervals, for the `reason`, such as that the images set the threshold."""
        shares = {name: getattr(self, name) for name in ("sensitivity", "specificity", "ppv", "npv")}
        return replace(
            self,
            **{
                name: replace(share, low=None, high=None, reason=reason)
                for name, share in shares.items()
                if share.total
            },
        )

    @property
    def images(self) -> int:
        """The number of images that were decided on."""
        return self.tp + self.fp + self.tn + self.fn

    def check(self) -> None:
        """Check that each rate is that of the counts."""
        for name, pair in _shares(self.tp, self.fp, self.tn, self.fn).items():
            rate: Proportion = getattr(self, name)
            if (rate.count, rate.total) != pair:
                raise ValueError(f"{name} is not that of tp, fp, tn and fn")


def _shares(tp: int, fp: int, tn: int, fn: int) -> dict[str, tuple[int, int]]:
    """Count and total of each rate."""
    return {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
    }


def check_scores(scores: Array, positive: Array) -> tuple[Array, Array]:
    """Return scores (N,) as float64 and `positive` bool (N,), of one image or more.

    Raises:
        DataError: they are not one probability and one bool for each image.
    """
    scores, positive = np.asarray(scores), np.asarray(positive)
    if scores.ndim != 1 or not len(scores) or scores.dtype.kind not in "fiu":
        raise DataError(f"scores are {scores.dtype} {scores.shape}, not numbers (N,) of one image or more")
    if positive.shape != scores.shape or positive.dtype != np.bool_:
        raise DataError(f"positive is {positive.dtype} {positive.shape}, not bool {scores.shape}")
    valid = (scores >= 0) & (scores <= 1)  # False for NaN
    if not valid.all():
        row = int(np.argmin(valid))
        raise DataError(f"score of image {row} is {scores[row]}; it must lie between 0 and 1")
    return scores.astype(np.float64), positive


def measure_rates(scores: Array, positive: Array, threshold: float, groups: Array | None = None) -> Rates:
    """Return the rates of the decision `scores >= threshold` on images that are `positive`, with 95 % intervals.

    Takes scores (N,) in 0..1, `positive` bool (N,), and `groups` (N,), the patient of each image where known: then
    each interval is that of `share_of` among the images that the rate is of.

    Raises:
        DataError: scores or positive can't be used, the threshold is not finite, or a patient is missing.
    """
    scores, positive = check_scores(scores, positive)
    if not math.isfinite(threshold):
        raise DataError(f"threshold is {threshold}; it must be a number")
    called = scores >= threshold
    right = called == positive
    if groups is not None:
        group_numbers(groups, len(scores))  # a missing patient is an error of all images, not of a rate

    def rate(images: Array) -> Proportion:
        return share_of(right[images], None if groups is None else groups[images])

    return Rates(
        sensitivity=rate(positive),
        specificity=rate(~positive),
        ppv=rate(called),
        npv=rate(~called),
        tp=int((called & positive).sum()),
        fp=int((called & ~positive).sum()),
        tn=int((~called & ~positive).sum()),
        fn=int((~called & positive).sum()),
    )
