"""Two-valued images among others: by their pixels they are masks, whatever their names are."""

import numpy as np

from medray._types import Array

LEAST, SHARE = 3, 0.01  # images of two values, and their share of all, that are no oddity


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
    """Return whether so many of the images have two values, among others, that they are masks."""
    return bool(at_most_two(levels).any()) and int((levels == 2).sum()) >= max(LEAST, SHARE * len(levels))
