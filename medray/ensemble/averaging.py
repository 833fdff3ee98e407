"""The one place where probabilities are averaged."""

from collections.abc import Sequence

import numpy as np

from medray._types import Array


def average(parts: Sequence[Array], weights: Sequence[float] | None = None) -> Array:
    """Average probabilities (N, classes) of several members, by weight where given; float32."""
    chosen = np.ones(len(parts)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = np.zeros(parts[0].shape, dtype=np.float64)
    for part, weight in zip(parts, chosen / chosen.sum(), strict=True):
        total += weight * part
    averaged: Array = (total / total.sum(axis=1, keepdims=True)).astype(np.float32)
    return averaged
