"""How much higher one contestant's test AUC is than another's, on the same images."""

from collections.abc import Sequence

import numpy as np

from medray._types import Array
from medray.stats.bootstrap import resample_counts
from medray.stats.metrics import auc

from .results import Result

RESAMPLES, CONFIDENCE = 1000, 0.95


def auc_lead(own: Sequence[Result], other: Sequence[Result]) -> tuple[float, float, float] | None:
    """Return the difference of the seeds' mean test AUCs, and its interval; None where scores were not kept.

    The interval is a bootstrap over the test images, all models on the same resamples (Efron 1979): it is of these
    models on other such images, not of other seeds.
    """
    if not (own and other) or not all(result.test_scores for result in (*own, *other)):
        return None
    labels = np.array(own[0].test_labels)
    differences = [mean_auc(own, labels, np.arange(len(labels))) - mean_auc(other, labels, np.arange(len(labels)))]
    for counts in resample_counts(len(labels), RESAMPLES, seed=0):
        drawn = np.repeat(np.arange(len(labels)), counts)
        differences.append(mean_auc(own, labels, drawn) - mean_auc(other, labels, drawn))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.nanpercentile(differences[1:], [tail, 100 - tail])  # NaN where a class was not drawn
    return differences[0], float(low), float(high)


def mean_auc(results: Sequence[Result], labels: Array, drawn: Array) -> float:
    """Return the mean over results of the AUC on the images that were drawn."""
    return float(np.mean([auc(np.array(result.test_scores)[drawn], labels[drawn]) for result in results]))
