"""Rates of a yes-or-no decision, each with its exact interval: sensitivity, specificity, PPV, NPV."""

import math
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.json_document import JsonDocument


@dataclass(frozen=True)
class Proportion(JsonDocument):
    """A proportion, `count` of `total`, with the ends of its interval; all three are None where total is 0."""

    value: float | None
    low: float | None
    high: float | None
    count: int
    total: int

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
        if not 0 < confidence < 1:
            raise ConfigError(f"confidence is {confidence}; it must lie between 0 and 1")
        if total == 0:
            return cls(None, None, None, 0, 0)
        from scipy.special import betaincinv

        tail = (1 - confidence) / 2
        low = float(betaincinv(count, total - count + 1, tail)) if count else 0.0
        high = float(betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
        return cls(count / total, low, high, count, total)

    def check(self) -> None:
        """Check that the share is that of the counts, and lies in its interval."""
        if self.value is None or self.low is None or self.high is None:
            valid = (self.value, self.low, self.high, self.count, self.total) == (None, None, None, 0, 0)
        else:
            valid = 0 <= self.count <= self.total != 0 and 0 <= self.low <= self.value <= self.high <= 1
            valid = valid and math.isclose(self.value, self.count / self.total, abs_tol=1e-9)
        if not valid:
            raise ValueError(f"{self.count} of {self.total} has another share or interval")


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


def measure_rates(scores: Array, positive: Array, threshold: float) -> Rates:
    """Return the rates of the decision `scores >= threshold` on images that are `positive`, with 95 % intervals.

    Takes scores (N,) in 0..1 and `positive` bool (N,).

    Raises:
        DataError: scores or positive can't be used, or the threshold is not finite.
    """
    scores, positive = check_scores(scores, positive)
    if not math.isfinite(threshold):
        raise DataError(f"threshold is {threshold}; it must be a number")
    called = scores >= threshold
    tp, fp = int((called & positive).sum()), int((called & ~positive).sum())
    return Rates.of(tp, fp, int((~called & ~positive).sum()), int((~called & positive).sum()))
