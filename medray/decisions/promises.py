"""What a promise about new images rests on: which images set it, and how many independent ones they are.

Only images of the split `CALIBRATION`, which neither trained nor selected a network, allow a promise about the
model that is used.
"""

import numpy as np

from medray._types import Array
from medray.data.listing.listing import CALIBRATION

__all__ = ["CALIBRATION", "ROUNDING", "conformal_level", "enough", "independent_number"]
ROUNDING = 1e-9


def independent_number(values: Array, groups: Array | None) -> float:
    """Return how many independent images the scores `values` (n,) of the patients `groups` (n,) are worth.

    It is n without `groups`. With them it is n over the design effect 1 + (m - 1) r (Kish 1965): m is the mean
    number of images of the patient of an image, r the intraclass correlation of the ranks of the values, by
    analysis of variance and at least 0. So it is the number of patients where their images are all alike, and n
    where they are as different as those of others.
    """
    if groups is None or len(values) < 2:
        return float(len(values))
    from scipy.stats import rankdata

    _, patient = np.unique(groups.astype(str), return_inverse=True)
    images, number = np.bincount(patient), len(values)
    mates = float(np.square(images).sum()) / number
    if len(images) < 2 or mates == 1:
        return number / mates
    ranks = rankdata(values)
    means = np.bincount(patient, weights=ranks) / images
    between = float(images @ np.square(means - ranks.mean())) / (len(images) - 1)
    within = float(np.square(ranks - means[patient]).sum()) / max(1, number - len(images))
    size = (number - mates) / (len(images) - 1)
    spread = between + (size - 1) * within
    correlation = min(1.0, max(0.0, (between - within) / spread)) if spread else 1.0
    return number / (1 + (mates - 1) * correlation)


def conformal_level(target: float, units: float) -> float:
    """Return the share of `units` that must be inside so that the next one is at a rate of `target`.

    It is target * (units + 1) / units (Vovk et al. 2005); above 1 where they are too few to promise the target.
    """
    return target * (units + 1) / units if units else float("inf")


def enough(target: float, units: float) -> bool:
    """Return whether `units` are enough to promise the target: 9 for 0.9, 19 for 0.95, 99 for 0.99."""
    return conformal_level(target, units) <= 1 + ROUNDING
