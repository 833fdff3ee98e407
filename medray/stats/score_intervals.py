"""The interval of every score that an evaluation prints, and the influences that it comes from.

No percentile bootstrap: 50 or 100 images of a good model hold a few errors, which a resample draws or not, and its
intervals of F1, Brier score and log loss then miss the truth up to four times in ten.
"""

from dataclasses import replace

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, unknown_choice_line
from medray.stats.auc_interval import auc_influence, auc_interval
from medray.stats.bootstrap import CONFIDENCE, Estimate
from medray.stats.effective import effective_number
from medray.stats.influence import Influence, influence_of_mean, unbiased
from medray.stats.label_set_intervals import label_set_influence, label_set_interval
from medray.stats.label_set_predictions import AnyPredictions, LabelSetPredictions
from medray.stats.metrics import nats
from medray.stats.patients import group_numbers, too_few_cases
from medray.stats.rates import share_of
from medray.stats.score_names import OF_CLASSES
from medray.stats.scores import Predictions
from medray.stats.validate import check_confidence

#: The highest Brier score, and the highest log loss: that of a float32's epsilon.
MOST_BRIER, MOST_NATS = 2.0, float(-np.log(np.finfo(np.float32).eps))
ADDED_NATS = 6.0  # the loss of the patient that is added, whose class has a probability of 0.25 %; simulated
NO_INTERVAL = "a resample's own noise would bias it"  # of the calibration error
#: Means over images, for which no class needs cases.
OVER_IMAGES = ("accuracy", "brier", "log_loss", "within_one", "grade_error")


def score_interval(
    name: str, predictions: AnyPredictions, groups: Array | None = None, confidence: float = CONFIDENCE
) -> Estimate:
    """Return the score `name` with its interval, by patient `groups` (N,) where they are known.

    It is one of `OF_CLASSES`; of several labels an image one of `LABEL_SETS` or "brier"
    (`medray.stats.label_set_intervals`).

    Those of the accuracy and of the share within one grade are exact where images are independent, the others are
    Wilson's of the effective number of images or patients. Where a score has no interval, the estimate says why.

    Raises:
        ConfigError: there is no such score, or the confidence is not between 0 and 1.
        DataError: a patient is missing.
    """
    if isinstance(predictions, LabelSetPredictions):
        return label_set_interval(name, predictions, groups, confidence)
    check_confidence(confidence)
    if name == "auc":
        return auc_interval(predictions.probabilities, predictions.labels, groups, confidence)
    if name in ("accuracy", "within_one"):
        right = predictions.correct if name == "accuracy" else predictions.distances <= 1
        share = share_of(right, groups, confidence)
        return Estimate(share.value, share.low, share.high, share.reason)
    influence = score_influence(name, predictions, groups)
    if isinstance(influence, str):
        return Estimate(predictions.scores()[name], None, None, influence)
    return replace(influence.interval(confidence), value=predictions.scores()[name])


def score_influence(name: str, predictions: AnyPredictions, groups: Array | None = None) -> Influence | str:
    """Return the influences on the score `name`, as in `score_interval`, or why it can have no interval.

    Raises:
        ConfigError: there is no such score.
        DataError: a patient is missing.
    """
    if isinstance(predictions, LabelSetPredictions):
        return label_set_influence(name, predictions, groups)
    if name not in OF_CLASSES:
        raise ConfigError(unknown_choice_line("score", name, OF_CLASSES))
    labels, classes = predictions.labels, predictions.classes
    if name == "calibration_error":
        return NO_INTERVAL
    if name not in OVER_IMAGES and (reason := too_few_cases(labels, classes, groups)):
        return reason
    if name in OVER_IMAGES and (reason := too_few_cases(np.zeros_like(labels), 1, groups)):
        return reason.replace(" of a class", "")
    if name == "auc":
        return auc_influence(predictions.probabilities.astype(np.float64), labels, groups)
    if name == "accuracy":
        return influence_of_mean(predictions.correct.astype(np.float64), (0.0, 1.0), 1.0, groups)
    if name == "log_loss":
        return influence_of_mean(nats(predictions.probabilities, labels), (ADDED_NATS,), MOST_NATS, groups)
    if name == "brier":
        return influence_of_mean(predictions.squared_errors, (MOST_BRIER,), MOST_BRIER, groups)
    if name == "within_one":
        return influence_of_mean((predictions.distances <= 1).astype(np.float64), (0.0, 1.0), 1.0, groups)
    if name == "grade_error":
        most = float(classes - 1)
        return influence_of_mean(predictions.distances.astype(np.float64), (most,), most, groups)
    return _of_confusion(name, predictions, groups)


def _of_confusion(name: str, predictions: Predictions, groups: Array | None) -> Influence:
    """Return the influences on a score of the confusion matrix, by its derivatives.

    The patients that are added to each class are one with nothing wrong and one with nothing right.
    """
    labels, classes, slopes = predictions.labels, predictions.classes, predictions.confusion_slopes[name]
    value = predictions.scores()[name]
    patients = np.arange(len(labels)) if groups is None else group_numbers(groups, len(labels))
    sizes = np.zeros((patients.max() + 1, classes))
    np.add.at(sizes, (patients, labels), 1)
    by_class = np.zeros(sizes.shape)
    np.add.at(by_class, (patients, labels), slopes[labels, predictions.predicted])
    by_class *= [unbiased(count) for count in (sizes > 0).sum(axis=0).tolist()]
    numbers = np.array([effective_number(column) for column in sizes.T])
    wrong = (slopes.sum(axis=1) - slopes.diagonal()) / (classes - 1)
    added = np.stack([slopes.diagonal(), wrong]) * sizes.sum(axis=0) / numbers
    return Influence(value, by_class, numbers, added, least=-1.0 if name == "quadratic_kappa" else 0.0)
