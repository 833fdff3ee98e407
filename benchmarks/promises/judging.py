"""When the mean of what studies say is beyond what was promised: never within twice its standard error."""

import numpy as np

from medray._types import Array

FEWEST = 10  # studies, for a promise to be judged by


def twice_error(values: Array) -> float:
    """Return twice the standard error of the mean of `values` (n,)."""
    return float(2 * values.std() / np.sqrt(len(values)))


def within(values: Array, low: float, high: float) -> bool:
    """Return whether the mean of `values` (n,) lies in `low`..`high`, give or take twice its standard error."""
    return bool(low - twice_error(values) <= values.mean() <= high + twice_error(values))
