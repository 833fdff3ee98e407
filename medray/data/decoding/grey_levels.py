"""Count the grey levels of an image where they are one or two: an image of two levels is a mask, or a drawing."""

import numpy as np
from PIL import Image

from medray._types import Array

SMALLEST = 16  # pixels of a side: smaller images may have two levels by chance
SAMPLE = 64  # pixels of a side of the grid that is looked at first
#: Of two levels that JPEG or a resizing has blurred: least distance, least share near them, most in the middle.
LEAST_RANGE, LEAST_NEAR, MOST_BETWEEN = 128, 0.95, 0.02
CLEARLY_BETWEEN = 0.1  # of the sample's pixels: no mask has as many, however small its parts


def count_levels(image: Image.Image) -> int:
    """Return 1 for an image of one grey level, 2 for one of two, and 0 for one of more or of few pixels.

    Two levels may be blurred, as JPEG leaves them: at least 95 % of pixels are within an eighth of the range of
    its ends, and at most 2 % in the middle half of the range, not more than half as many as near the rarer end.
    Alpha does not count.
    """
    if min(image.size) < SMALLEST:
        return 0
    if max(image.size) > SAMPLE:
        sample = _histogram(image.resize((SAMPLE, SAMPLE), Image.Resampling.NEAREST))
        low, high = _ends(sample)
        if high - low >= LEAST_RANGE // 4 and _between(sample, low, high) > CLEARLY_BETWEEN:
            return 0
    histogram = _histogram(image)
    used = np.count_nonzero(histogram)
    if used <= 2:
        return int(used)
    low, high = _ends(histogram)
    if high - low < LEAST_RANGE:
        return 0
    eighth = (high - low) // 8
    ends = histogram[low : low + eighth + 1].sum(), histogram[high - eighth : high + 1].sum()
    between = _between(histogram, low, high)
    is_two = sum(ends) >= LEAST_NEAR and between <= MOST_BETWEEN and between <= min(ends) / 2
    return 2 if is_two else 0


def _histogram(image: Image.Image) -> Array:
    """Return the share of pixels of each grey level, (256,)."""
    grey = image if image.mode == "L" else image.convert("L")
    return np.array(grey.histogram()) / (image.size[0] * image.size[1])


def _ends(histogram: Array) -> tuple[int, int]:
    used = np.flatnonzero(histogram)
    return int(used[0]), int(used[-1])


def _between(histogram: Array, low: int, high: int) -> float:
    """Return the share of pixels in the middle half of the range."""
    quarter = (high - low) // 4
    return float(histogram[low + quarter + 1 : high - quarter].sum())
