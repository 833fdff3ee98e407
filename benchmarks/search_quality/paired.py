"""How much higher one contestant's test AUC is than another's, on the same images."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medray.stats.auc_interval import auc_influence
from medray.stats.bootstrap import CONFIDENCE
from medray.stats.influence import Difference, Influence, difference

from .results import Result

#: The difference of two mean test AUCs, and the ends of its interval of 95 %.
Lead = tuple[float, float, float]


def auc_lead(own: Sequence[Result], other: Sequence[Result]) -> Lead | None:
    """Return the difference of the seeds' mean test AUCs, and its interval; None where scores were not kept.

    It is the paired test of `medray evaluate` (DeLong et al. 1988): what an image adds to a mean of AUCs is the
    mean of what it adds to each. The interval is of these models on other such images, not of other seeds.
    """
    if not (own and other) or not all(result.test_scores for result in (*own, *other)):
        return None
    found: Difference | None = difference(mean_influence(own), mean_influence(other), CONFIDENCE)
    return None if found is None else (found.value, found.low, found.high)


def mean_influence(results: Sequence[Result]) -> Influence:
    """Return the influences of the test images on the mean of the results' AUCs."""
    parts = [auc_influence(np.array(r.test_scores), np.array(r.test_labels, np.int64)) for r in results]
    return replace(
        parts[0],
        value=statistics.fmean(part.value for part in parts),
        by_class=np.mean([part.by_class for part in parts], axis=0),
        added=np.mean([part.added for part in parts], axis=0),
    )


def mean_lead(leads: Sequence[Lead]) -> Lead:
    """Return the mean of the leads on several sets, and its interval: half its length adds up by squares.

    Sets share no images (Zou & Donner 2008, Statistics in Medicine 27).
    """
    value = statistics.fmean(lead for lead, _, _ in leads)
    below = math.hypot(*(lead - low for lead, low, _ in leads)) / len(leads)
    above = math.hypot(*(high - lead for lead, _, high in leads)) / len(leads)
    return value, value - below, value + above
