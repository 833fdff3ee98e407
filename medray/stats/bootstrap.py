"""Bootstrap: how much a score would vary with other images, or other patients, of the same kind.

Images of one patient resemble each other, so where patients are known whole patients are drawn. Every model is
scored on the same resamples, so that a difference between two models is not one between their images. The scores'
own intervals are not from it, but from `medray.stats.score_intervals`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.json_document import JsonDocument
from medray.stats.patients import group_numbers
from medray.stats.validate import check_confidence

if TYPE_CHECKING:
    from medray.stats.label_set_predictions import AnyPredictions

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate(JsonDocument):
    """A score with its interval; None where it is not defined. `reason` says why there is no interval."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None


def resample_counts(images: int, resamples: int, seed: int, groups: Array | None = None) -> Iterator[Array]:
    """Yield resamples, each as how often every image is in it, int64 (images,).

    Without `groups`, as many images are drawn as there are, with replacement (Efron 1979). With `groups`
    (images,), the patient of each image, as many patients are drawn as there are, each with all of its
    images (Davison & Hinkley 1997, section 3.8; Field & Welsh 2007), so a resample's size varies.

    Raises:
        ConfigError: `resamples` is below 1, or the seed is negative.
        DataError: there are fewer than two images or patients to draw from, not one patient for each
            image, or a patient is missing. It is raised by the call, not by the first resample.
    """
    if resamples < 1:
        raise ConfigError(f"{resamples} resamples; at least 1 is needed")
    if seed < 0:
        raise ConfigError(f"seed {seed} is not a whole number of 0 or more")
    members = np.arange(images) if groups is None else group_numbers(groups, images)
    units = int(members.max()) + 1 if images else 0
    if units < 2:
        noun = "image" if groups is None else "patient"
        raise DataError(f"{units} {noun} to draw from: a bootstrap needs at least two")
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, units, size=units) for _ in range(resamples))
    return (np.bincount(drawn, minlength=units)[members] for drawn in draws)


def percentile_interval(values: Array, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Return the percentile interval (Efron & Tibshirani 1993, chapter 13) of a score's resampled `values` (B,).

    A NaN is a resample in which the score is not defined, and is left out; None where that leaves fewer
    than half of them. For the calibration error the interval is biased upwards and may exclude the score itself:
    a resample adds its own noise to each bin, and noise widens the gaps that are summed.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: there are no values.
    """
    check_confidence(confidence)
    if values.ndim != 1 or not len(values):
        raise DataError(f"values are {values.shape}, not (resamples,): there is no interval of none")
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bootstrap(models: Mapping[str, "AnyPredictions"], counts: Iterable[Array]) -> dict[str, dict[str, Array]]:
    """Return every model's scores on the same resamples, by model and score, float64 (B,), NaN where undefined.

    `counts` are those of `resample_counts`, or an array (B, N); each row is used once and not kept.

    Raises:
        DataError: there are no models or no resamples, the models' images differ, or a resample does not fit them.
    """
    if not models:
        raise DataError("no models: there is nothing to score")
    (first, reference), *others = models.items()
    for name, model in others:
        if model.classes != reference.classes or not np.array_equal(model.labels, reference.labels):
            raise DataError(f"'{name}' and '{first}' are not measured on the same images: their labels differ")
    rows: dict[str, list[list[float]]] = {name: [] for name in models}
    for row in counts:
        for name, model in models.items():
            rows[name].append(list(model.scores(row).values()))
    if not rows[first]:
        raise DataError("no resamples: there is nothing to score the models on")
    return {name: dict(zip(reference.scores(), np.array(scores).T, strict=True)) for name, scores in rows.items()}
