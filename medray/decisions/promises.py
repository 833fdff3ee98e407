"""What a promise about new images rests on: which images set it, and how many independent ones they are.

Only images of the split `CALIBRATION`, which neither trained nor selected a network, allow a promise about the
model that is used.
"""

import numpy as np

from medray._types import Array
from medray.data.listing.listing import CALIBRATION
from medray.stats.effective import effective_number

__all__ = ["CALIBRATION", "ROUNDING", "conformal_level", "enough", "independent_number"]
ROUNDING = 1e-9


def independent_number(groups: Array | None, members: Array) -> float:
    """Return how many independent units the images are that are `members` bool (N,).

    Without `groups` each image is one. With `groups` (N,), the patient of each, it is the effective number of
    patients (Kish 1965), as if images of one patient resembled each other fully, so that it is never too high.
    """
    if groups is None:
        return float(members.sum())
    _, images = np.unique(groups[members].astype(str), return_counts=True)
    return effective_number(images) if len(images) else 0.0


def conformal_level(target: float, units: float) -> float:
    """Return the share of `units` that must be inside so that the next one is at a rate of `target`.

    It is target * (units + 1) / units (Vovk et al. 2005); above 1 where they are too few to promise the target.
    """
    return target * (units + 1) / units if units else float("inf")


def enough(target: float, units: float) -> bool:
    """Return whether `units` are enough to promise the target: 9 for 0.9, 19 for 0.95, 99 for 0.99."""
    return conformal_level(target, units) <= 1 + ROUNDING
