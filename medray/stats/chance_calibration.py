"""The calibration error that chance alone gives, beside which a model's own is to be read."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError
from medray.json_document import JsonDocument
from medray.stats.metrics import BINS, calibration_error, confidence_bins
from medray.stats.patients import group_numbers
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
    probabilities: Array,
    labels: Array,
    groups: Array | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
    bins: int = BINS,
) -> ChanceError:
    """Return the expected calibration error of probabilities (N, classes) beside what chance alone gives.

    Of several labels an image, labels (N, classes), it is that of all known answers, each by its probability of
    yes, and chance is by image, or by patient `groups` (N,) where known.

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
        return _of_label_sets(probabilities, labels, groups, draws, seed, bins)
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
    return _chance(value, errors)


def _of_label_sets(
    probabilities: Array, labels: Array, groups: Array | None, draws: int, seed: int, bins: int
) -> ChanceError:
    """Return the same of all known answers to several labels, each by its probability of yes.

    Labels of an image go together, so chance is drawn by turning the signs of all residuals of an image, or of a
    patient, at once (wild bootstrap, Liu 1988): of a calibrated model they are 0 on average.
    """
    exact, labels = check_label_sets(probabilities, labels)
    known = labels >= 0
    units = np.arange(len(labels)) if groups is None else group_numbers(groups, len(labels))
    residuals = np.zeros((bins, int(units.max()) + 1))
    np.add.at(
        residuals, (confidence_bins(exact[known], bins), units[np.nonzero(known)[0]]), (exact - labels)[known]
    )
    signs = np.random.default_rng(seed).integers(0, 2, (residuals.shape[1], draws)) * 2.0 - 1
    value = np.abs(residuals.sum(axis=1)).sum() / known.sum()
    return _chance(float(value), np.abs(residuals @ signs).sum(axis=0) / known.sum())


def _chance(value: float, errors: Array) -> ChanceError:
    p = (1 + int((errors >= value).sum())) / (1 + len(errors))
    return ChanceError(value, float(errors.mean()), float(np.quantile(errors, 0.95)), p)
