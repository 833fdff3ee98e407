"""Intervals of an AUC from its structural components, for few cases, near 1 and for patients of several images.

The component of an image is the share of the other kind's images that it is ranked rightly to (DeLong et al.
1988). What they add up to by patient gives the variance (Obuchowski 1997), also of the mean over several classes.
"""

import numpy as np

from medray._types import Array
from medray.stats.bootstrap import CONFIDENCE, Estimate
from medray.stats.effective import effective_number
from medray.stats.influence import Influence, unbiased
from medray.stats.metrics import auc
from medray.stats.patients import group_numbers, too_few_cases
from medray.stats.validate import check_confidence, check_labelled


def auc_interval(
    probabilities: Array, labels: Array, groups: Array | None = None, confidence: float = CONFIDENCE
) -> Estimate:
    """Return the AUC of probabilities (N, classes) against `labels` int64 (N,), with its interval.

    It is Wilson's interval of the effective number of images, or of patients `groups` (N,). There is none, and the
    estimate says why, below `medray.stats.patients.ENOUGH_CASES` images or patients of a class.

    Raises:
        DataError: the probabilities, labels or groups can't be used.
        ConfigError: the confidence is not between 0 and 1.
    """
    check_confidence(confidence)
    labels = check_labelled(probabilities, labels)[1]
    exact = np.asarray(probabilities, dtype=np.float64)  # not clipped to 0..1, which could make ties
    reason = too_few_cases(labels, exact.shape[1], groups)
    if len(np.unique(labels)) < exact.shape[1]:
        return Estimate(None, None, None, reason)
    if reason:
        return Estimate(auc(exact, labels), None, None, reason)
    influence = auc_influence(exact, labels, groups)
    if not influence.by_class.any() and not influence.added.any():
        return Estimate(influence.value, None, None, "all images have the same probability")
    return influence.interval(confidence)


def auc_influence(probabilities: Array, labels: Array, groups: Array | None = None) -> Influence:
    """Return the influences on the AUC of probabilities (N, classes), each class with an image or more.

    The AUC is that of `medray.stats.metrics.auc`. `labels` are int64 (N,), `groups` (N,) the patients. The patient
    that is added to each class is ranked by chance.

    Raises:
        DataError: a patient is missing.
    """
    images, classes = probabilities.shape
    patients = np.arange(images) if groups is None else group_numbers(groups, images)
    counts = np.zeros((patients.max() + 1, classes), dtype=np.int64)
    np.add.at(counts, (patients, labels), 1)
    columns = [1] if classes == 2 else list(range(classes))
    influence, added, values = np.zeros(images), np.zeros((1, classes)), []
    for c in columns:
        of_class = labels == c
        value, placements = _placements(probabilities[:, c], of_class)
        values.append(value)
        for side in (of_class, ~of_class):
            sizes = np.bincount(patients[side])
            factor = unbiased(int((sizes > 0).sum())) / (side.sum() * len(columns))
            influence[side] += (placements[side] - value) * factor
            of_side = [k for k in range(classes) if (k == c) == (side is of_class)]
            added[0, of_side] += (0.5 - value) / (effective_number(sizes) * len(columns))
    by_class = np.zeros(counts.shape)
    np.add.at(by_class, (patients, labels), influence)
    numbers = np.array([effective_number(counts[:, c]) for c in range(classes)])
    return Influence(float(np.mean(values)), by_class, numbers, added)


def _placements(scores: Array, positive: Array) -> tuple[float, Array]:
    """Return the AUC of scores (N,), and of each image the share of the other kind that it is ranked rightly to.

    Ties count half: midranks among all images, less those among images of the same kind (Sun & Xu 2014).
    """
    from scipy.stats import rankdata

    ranks, placements = rankdata(scores), np.empty(len(scores))
    cases, rest = int(positive.sum()), int((~positive).sum())
    placements[positive] = (ranks[positive] - rankdata(scores[positive])) / rest
    placements[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / cases
    return float(placements[positive].mean()), placements
