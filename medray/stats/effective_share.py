"""A share of images as one of so many independent draws, from the variance between patients (Rao & Scott 1992)."""

import math
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.stats.effective import effective_number, wilson_interval, worth_in_draws
from medray.stats.patients import ENOUGH_CASES, group_numbers
from medray.text import plural


@dataclass(frozen=True)
class EffectiveShare:
    """A share of images and the `number` of independent draws that it is worth.

    `degrees` of freedom are those that this number is known with: infinite for independent images.
    """

    value: float
    number: float
    degrees: float

    def interval(self, tail: float) -> tuple[float, float]:
        """Return Wilson's interval with a chance of `tail` on each side, below 0.5."""
        from scipy.special import stdtrit

        return wilson_interval(self.value, self.number, -float(stdtrit(self.degrees, tail)))


def effective_share(hits: Array, groups: Array | None = None) -> EffectiveShare | str:
    """Return the share of images that are `hits` bool (N,), or why it can have no interval.

    At least `ENOUGH_CASES` images are needed, with `groups` (N,), the patient of each image, as many patients.

    Raises:
        DataError: a patient is missing.
    """
    patients = np.arange(len(hits)) if groups is None else group_numbers(groups, len(hits))
    images = np.bincount(patients)
    count = len(images)
    if count < ENOUGH_CASES:
        return f"{plural(count, 'image' if groups is None else 'patient')}: too few"
    share = float(hits.mean())
    if count == len(hits):
        return EffectiveShare(share, count, math.inf)
    number = effective_number(images)
    if number < 2:
        return "nearly all images are of one patient"
    residuals = np.bincount(patients, weights=hits) - share * images
    variance = count / (count - 1) * float(np.square(residuals).sum()) / len(hits) ** 2
    added = np.array([1 - share, -share]) / number  # one patient more that is all hits, and one that is none
    return EffectiveShare(share, worth_in_draws(share, variance, added, most=len(hits)), number - 1)
