"""Weighted means of the members' probabilities; all of medray averages here."""

from collections.abc import Sequence

import numpy as np

from medray._types import Array
from medray.decisions.temperature import apply_temperatures


def average(
    probabilities: Sequence[Array], weights: Sequence[float] | None = None, *, label_sets: bool = False
) -> Array:
    """Return the mean of several members' probabilities (N, classes), weighted if asked; float32 (N, classes).

    Each row sums to 1, except where an image may have several labels (`label_sets`).
    """
    shares = shares_of([1.0] * len(probabilities) if weights is None else weights)
    total = np.zeros(probabilities[0].shape, dtype=np.float64)
    for member, share in zip(probabilities, shares, strict=True):
        total += share * member
    sums = 1.0 if label_sets else total.sum(axis=1, keepdims=True)
    mean: Array = (total / sums).clip(0.0, 1.0).astype(np.float32)
    return mean


def shares_of(weights: Sequence[float]) -> Array:
    """Return the members' shares of the average, float64 (members,), which sum to 1."""
    exact = np.asarray(weights, dtype=np.float64)
    shares: Array = exact / exact.sum()
    return shares


def calibrated_average(
    probabilities: Sequence[Array], weights: Sequence[float], temperatures: Sequence[float], *, label_sets: bool
) -> Array:
    """Return the weighted mean of the members' probabilities after their temperatures: an ensemble's answer."""
    return apply_temperatures(average(probabilities, weights, label_sets=label_sets), temperatures)
