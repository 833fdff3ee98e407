"""The intervals of scores of several labels an image, and the influences that they come from.

A mean over labels has the mean of their influences: what a patient adds by one label and by another adds up before
it is squared, so labels that go together give no interval that is too short.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, unknown_choice_line
from medray.stats.auc_interval import auc_influence
from medray.stats.bootstrap import CONFIDENCE, Estimate
from medray.stats.effective import effective_number
from medray.stats.influence import Influence, influence_of_mean, unbiased
from medray.stats.label_set_predictions import LabelSetPredictions, LabelView
from medray.stats.patients import ENOUGH_CASES, fewest_cases, group_numbers
from medray.stats.rates import share_of
from medray.stats.score_names import LABEL_SETS
from medray.stats.scores import Predictions
from medray.stats.validate import check_confidence
from medray.text import plural

NO_INTERVAL = "a resample's own noise would bias it"  # of the calibration error
MOST_NATS = float(-np.log(np.finfo(np.float32).eps))
ADDED_NATS = 6.0  # the loss of a label of the patient that is added; as for classes


def label_set_interval(
    name: str, predictions: LabelSetPredictions, groups: Array | None = None, confidence: float = CONFIDENCE
) -> Estimate:
    """Return the score `name` in `LABEL_SETS`, or "brier", with its interval by patient `groups` (N,), if known.

    The value is over the labels that have one. There is no interval, and the estimate says why, where one of these
    labels has fewer than `ENOUGH_CASES` images or patients with it, or without it.

    Raises:
        ConfigError: there is no such score, or the confidence is not between 0 and 1.
        DataError: a patient is missing.
    """
    check_confidence(confidence)
    if name == "exact_match":
        judged = predictions.judged
        share = share_of(predictions.correct[judged], None if groups is None else groups[judged], confidence)
        return Estimate(share.value, share.low, share.high, share.reason)
    value = predictions.scores().get(name, float("nan"))
    influence = label_set_influence(name, predictions, groups)
    if np.isnan(value):
        return Estimate(None, None, None, "no label has images with it and images without it")
    if isinstance(influence, str):
        return Estimate(value, None, None, influence)
    return replace(influence.interval(confidence), value=value)


def label_set_influence(
    name: str, predictions: LabelSetPredictions, groups: Array | None = None
) -> Influence | str:
    """Return the influences on the score `name` in `LABEL_SETS`, or "brier", or why it can have no interval.

    Raises:
        ConfigError: there is no such score.
        DataError: a patient is missing.
    """
    if name not in (*LABEL_SETS, "brier"):
        raise ConfigError(unknown_choice_line("score", name, (*LABEL_SETS, "brier")))
    if name == "calibration_error":
        return NO_INTERVAL
    images, classes = len(predictions), predictions.classes
    patients = np.arange(images) if groups is None else group_numbers(groups, images)
    units = int(patients.max()) + 1
    if units < ENOUGH_CASES:
        return f"{plural(units, 'image' if groups is None else 'patient')}: too few"
    if name == "exact_match":
        judged = predictions.judged
        share, weights = predictions.correct[judged].mean(), judged / judged.mean()
        values = share + (predictions.correct - share) * weights  # images of which nothing is known weigh nothing
        return influence_of_mean(values, (0.0, 1.0), 1.0, groups)
    if name in ("log_loss", "brier"):
        table, worst, most = (
            (predictions.losses, ADDED_NATS, MOST_NATS)
            if name == "log_loss"
            else (predictions.squared_errors, 1.0, 1.0)
        )
        answers = predictions.known.sum(axis=1)
        mean = float(table.sum() / answers.sum())
        # Of a ratio of two sums: an image's share of the answers, by how far its own mean is from all of them.
        values = mean + (table.sum(axis=1) - mean * answers) * images / answers.sum()
        return influence_of_mean(values, (mean + (worst - mean) / classes,), most, groups)
    if name in ("auc_micro", "f1_micro"):
        views: Sequence[LabelView] = [predictions.pooled]
    elif name == "f1_macro":
        views = [view for view in predictions.views if view and view.predictions.labels.any()]
    else:
        views = [view for view in predictions.views if view and view.has_auc]
    of_label = {"auc": auc_influence_of, "auc_micro": auc_influence_of, "average_precision": precision_influence}
    return mean_of_labels(views, patients, of_label.get(name, f1_influence), grouped=groups is not None)


def mean_of_labels(
    views: Sequence[LabelView], patients: Array, influence_of: "InfluenceOf", *, grouped: bool
) -> Influence | str:
    """Return the influences on the mean of a score over labels, of `patients` int (N,), numbered from 0."""
    if not views:
        return "no label has images with it and images without it"
    fewest = min(fewest_cases(view.predictions.labels, 2, patients[view.rows]) for view in views)
    if fewest < ENOUGH_CASES:
        return f"{plural(fewest, 'patient' if grouped else 'image')} with or without a label: too few"
    parts, numbers, added, values = [], [], [], []
    for view in views:
        uniques, own = np.unique(patients[view.rows], return_inverse=True)
        influence = influence_of(view.predictions, own)
        part = np.zeros((int(patients.max()) + 1, influence.by_class.shape[1]))
        part[uniques] = influence.by_class
        parts.append(part)
        numbers.append(influence.patients)
        added.append(influence.added)
        values.append(influence.value)
    count = len(views)
    return Influence(
        float(np.mean(values)),
        np.concatenate(parts, axis=1) / count,
        np.concatenate(numbers),
        np.concatenate(added, axis=1) / count,
        overlapping=True,
    )


InfluenceOf = Callable[[Predictions, Array], Influence]


def auc_influence_of(predictions: Predictions, patients: Array) -> Influence:
    """Return the influences on a label's AUC; `patients` int (n,) are numbered from 0, and each has an image."""
    in_order = np.char.zfill(patients.astype(str), 12)  # as text they sort as the numbers do
    return auc_influence(predictions.probabilities, predictions.labels, in_order)


def precision_influence(predictions: Predictions, patients: Array) -> Influence:
    """Return the influences on a label's average precision; `patients` int (n,) as in `auc_influence_of`.

    They are its derivatives by how often each image is counted. The patients that are added are one with the label
    whose image ranks last, and one without it whose image ranks first.
    """
    scores, positive = predictions.probabilities[:, 1], predictions.labels == 1
    order = np.argsort(-scores, kind="stable")
    ranked = positive[order].astype(np.float64)
    # Images of equal score share their precision: that at the last of them.
    ends = np.searchsorted(-scores[order], -scores[order], side="right") - 1
    counted = ends + 1.0
    hits = ranked.cumsum()[ends]
    precision, cases = hits / counted, ranked.sum()
    value = float((ranked * precision).sum() / cases)
    # d precision(i) / d image j ranked at or above i: (positive(j) - precision(i)) / counted(i)
    starts = np.searchsorted(-scores[order], -scores[order], side="left")

    def from_here_down(terms: Array) -> Array:
        below: Array = terms[::-1].cumsum()[::-1][starts]
        return below

    share, weighted = from_here_down(ranked / counted), from_here_down(ranked * precision / counted)
    slopes = np.empty(len(order))
    slopes[order] = (ranked * share - weighted + ranked * (precision - value)) / cases
    sizes = np.zeros((int(patients.max()) + 1, 2))
    np.add.at(sizes, (patients, predictions.labels), 1)
    by_class = np.zeros(sizes.shape)
    np.add.at(by_class, (patients, predictions.labels), slopes)
    by_class *= [unbiased(count) for count in (sizes > 0).sum(axis=0).tolist()]
    numbers = np.array([effective_number(column) for column in sizes.T])
    first = -float((ranked * precision / counted).sum()) / cases
    last = (cases / len(order) - value) / cases
    added = np.array([[first, last]]) * sizes.sum(axis=0) / numbers
    return Influence(value, by_class, numbers, added)


def f1_influence(predictions: Predictions, patients: Array) -> Influence:
    """Return the influences on a label's F1 at a probability of one half; `patients` as in `auc_influence_of`.

    The patients that are added to images with and without the label are one with nothing wrong and one with
    nothing right.
    """
    positive = predictions.labels == 1
    called = predictions.probabilities[:, 1] >= 0.5
    hits, wrong = float((called & positive).sum()), float((called != positive).sum())
    total = 2 * hits + wrong
    of_hit, of_wrong = 2 * wrong / total**2, -2 * hits / total**2
    slopes = of_hit * (called & positive) + of_wrong * (called != positive)
    sizes = np.zeros((int(patients.max()) + 1, 2))
    np.add.at(sizes, (patients, predictions.labels), 1)
    by_class = np.zeros(sizes.shape)
    np.add.at(by_class, (patients, predictions.labels), slopes)
    by_class *= [unbiased(count) for count in (sizes > 0).sum(axis=0).tolist()]
    numbers = np.array([effective_number(column) for column in sizes.T])
    added = np.array([[0.0, of_hit], [of_wrong, of_wrong]]) * sizes.sum(axis=0) / numbers
    return Influence(2 * hits / total, by_class, numbers, added)
