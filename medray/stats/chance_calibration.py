"""The calibration error that chance alone gives, beside which a model's own is to be read."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError
from medray.json_document import JsonDocument
from medray.stats.metrics import BINS, calibration_error, confidence_bins
from medray.stats.validate import check_label_sets, check_labelled


@dataclass(frozen=True)
class ChanceError(JsonDocument):
    """A calibration error beside what chance alone gives.

    `mean` and `high`, the 95th percentile, are of a perfectly calibrated model with the same probabilities;
    `p` is the share of its draws, the images themselves counted as one, that are at least as far off.
    """

    value: float
    mean: float
    high: float
    p: float


def chance_calibration_error(
    probabilities: Array, labels: Array, *, draws: int = 1000, seed: int = 0, bins: int = BINS
) -> ChanceError:
    """Return the expected calibration error of probabilities (N, classes) beside what chance alone gives.

    Of several labels an image, labels (N, classes), it is that of all known answers, each by its probability of
    yes.

    Even a perfectly calibrated model has gaps between confidence and accuracy, as each bin holds few images. Such
    a model is drawn: every label anew from the probabilities themselves, independently (consistency resampling,
    Bröcker & Smith 2007). Images of one patient resemble each other, so chance gives still more than is said here.

    Raises:
        ConfigError: `draws` is below 1, or the seed is negative.
        DataError: the probabilities or labels can't be used.
    """
    if draws < 1 or seed < 0:
        raise ConfigError(f"{draws} draws with seed {seed}; at least 1 draw and a seed of 0 or more are needed")
    if labels.ndim == 2:
        exact, labels = check_label_sets(probabilities, labels)
        known = labels >= 0
        confidence, truth = exact[known], labels[known]
        indices = confidence_bins(confidence, bins)
        gaps = np.bincount(indices, weights=confidence - truth)
        value = float(np.abs(gaps).sum() / len(confidence))
    else:
        exact, labels = check_labelled(probabilities, labels)
        confidence = exact.max(axis=1)
        indices = confidence_bins(np.asarray(probabilities).max(axis=1), bins)
        value = calibration_error(np.asarray(probabilities), labels, bins)
    totals = np.bincount(indices, weights=confidence)
    rng = np.random.default_rng(seed)
    errors = np.empty(draws)
    for draw in range(draws):
        correct = rng.random(len(confidence)) < confidence
        errors[draw] = np.abs(totals - np.bincount(indices, weights=correct)).sum() / len(confidence)
    p = (1 + int((errors >= value).sum())) / (1 + draws)
    return ChanceError(value, float(errors.mean()), float(np.quantile(errors, 0.95)), p)
