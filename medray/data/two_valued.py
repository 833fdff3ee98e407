"""Two-valued images among others: by their pixels they are masks, whatever their names are."""

import numpy as np

from medray._types import Array

LEAST, SHARE = 3, 0.01  # images of two values, and their share of all, that are no oddity
MOST = 0.95  # of all: where more have at most two values they are drawings, and the others the oddity


def at_most_two(levels: Array) -> Array:
    """Return which images of `levels` (n,) grey levels, 0 for more than two, have one or two: bool (n,).

    None is where no image has two, or none has more: black images alone are no masks, and a data set of drawings
    is one.
    """
    if not (levels == 2).any() or not (levels == 0).any():
        return np.zeros(len(levels), dtype=bool)
    few: Array = levels > 0
    return few


def masks_among(levels: Array) -> bool:
    """Return whether so many of the images have two values, but not nearly all, that they are masks."""
    few, two = int(at_most_two(levels).sum()), int((levels == 2).sum())
    return 0 < few < MOST * len(levels) and two >= max(LEAST, SHARE * len(levels))
