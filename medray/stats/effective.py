"""Intervals of a share, or of an AUC, by the effective number of independent images or patients.

Wilson's (1927) score interval never leaves 0..1 and is never empty, but it takes the number of independent draws.
Here this number is worked out from the variance between patients. A variance estimated from a handful of errors is
often far too small, or 0 where there is no error; so a little of a patient of each kind is added, the kinds hardly
seen among them (as Agresti & Coull 1998 add observations to a share), and the quantile is Student's.
"""

import math

import numpy as np

from medray._types import Array

#: How much of a patient is added of each kind; simulated for 10 to 500 cases and patients, see the tests.
ADDED = 1 / 3


def effective_number(images: Array) -> float:
    """Return how many patients of equal size weigh as much as those of `images` (patients,) each (Kish 1965)."""
    return float(images.sum() ** 2 / np.square(images, dtype=np.float64).sum())


def wilson_interval(share: float, number: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of `number` independent draws, which need not be whole."""
    squared = quantile**2
    middle = number * share + squared / 2
    half = quantile * math.sqrt(max(0.0, number * share * (1 - share) + squared / 4))
    low, high = (middle - half) / (number + squared), (middle + half) / (number + squared)
    return min(max(0.0, low), share), max(min(1.0, high), share)  # rounding aside


def worth_in_draws(value: float, variance: float, added: Array, most: float = math.inf) -> float:
    """Return how many independent draws a share or an AUC of this estimated `variance` is worth, at most `most`.

    `added` is how much a patient of each kind would change the value.
    """
    spread = variance + ADDED * float(np.square(added).sum())
    middle = value + ADDED * float(added.sum())
    return min(most, middle * (1 - middle) / spread)


def effective_interval(
    value: float, variance: float, added: Array, degrees: float, confidence: float
) -> tuple[float, float]:
    """Return the interval of an AUC or a score whose estimated `variance` has so many `degrees` of freedom.

    `added` is as in `worth_in_draws`.
    """
    from scipy.special import stdtrit

    quantile = float(stdtrit(degrees, (1 + confidence) / 2))
    return wilson_interval(value, worth_in_draws(value, variance, added), quantile)
