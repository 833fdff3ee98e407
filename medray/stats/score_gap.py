"""The difference between one score on two independent sets of images, from the two intervals."""

import math

from medray.stats.bootstrap import Estimate
from medray.stats.rates import Proportion


def score_gap(here: Estimate | Proportion, there: Estimate | Proportion) -> Estimate:
    """Return how far the score `here` lies above that `there`, with an interval of the confidence that both have.

    It is the method of variance estimates recovery (Zou & Donner 2008, "Construction of confidence limits about
    effect measures: a general approach", Statistics in Medicine 27): the distance from each score to an end of its
    own interval stands for its standard error on that side, and the squares add up, as the two sets of images are
    independent. Of two Wilson intervals it is Newcombe's (1998, method 10), as in `medray.stats.share_gap`. It
    covers where the two intervals do, and never leaves -1..1 for scores of 0..1. Where either has no interval, the
    estimate has none, and says why.
    """
    if here.value is None or there.value is None:
        return Estimate(None, None, None, here.reason or there.reason)
    gap = here.value - there.value
    if here.low is None or here.high is None or there.low is None or there.high is None:
        return Estimate(gap, None, None, here.reason or there.reason)
    return Estimate(
        gap,
        gap - math.hypot(here.value - here.low, there.high - there.value),
        gap + math.hypot(here.high - here.value, there.value - there.low),
    )
