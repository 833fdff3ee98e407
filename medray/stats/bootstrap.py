"""Bootstrap: how much a score would vary with other images, or other patients, of the same kind.

Images of one patient resemble each other, so where patients are known whole patients are drawn. Every
model is scored on the same resamples: a difference between two of them is then one of the models.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.scores import MODES, Measure

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A score with its interval; None where it is not defined.

    `resamples_used` counts those resamples in which the score is defined.
    """

    value: float | None
    low: float | None
    high: float | None
    resamples_used: int


def resample_counts(images: int, resamples: int, seed: int, groups: Array | None = None) -> Iterator[Array]:
    """Draw resamples one after the other: how often each image is in it, int64 (images,).

    Without `groups` as many images are drawn as there are, with replacement (Efron 1979). With `groups`
    (images,), the patient of each image, as many patients are drawn as there are and each brings all of its
    images (Davison & Hinkley 1997, section 3.8; Field & Welsh 2007), so a resample's size varies.

    Raises:
        ConfigError: there is no resample to draw, or the seed is negative.
        DataError: there are fewer than two images or patients to draw from, or not one patient for each
            image, or a patient is not known.
    """
    if resamples < 1:
        raise ConfigError(f"{resamples} resamples; at least 1 is needed")
    if seed < 0:
        raise ConfigError(f"seed {seed} is not a whole number of 0 or more")
    members = np.arange(images) if groups is None else group_numbers(groups, images)
    units = int(members.max()) + 1 if images else 0
    if units < 2:
        what = "image" if groups is None else "patient"
        raise DataError(f"{units} {what} to draw from: a bootstrap needs at least two")
    return _draw(members, units, resamples, seed)


def _draw(members: Array, units: int, resamples: int, seed: int) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(rng.integers(0, units, size=units), minlength=units)[members]


def group_numbers(groups: Array, images: int) -> Array:
    """Number the patients of `groups` (images,) from 0, int64 (images,); 7 and "7" are the same patient.

    Raises:
        DataError: there is not one patient for each image, or one is missing: None, NaN or empty text.
    """
    if groups.shape != (images,):
        raise DataError(f"groups are {groups.shape}, not ({images},): the patient of each image")
    words = [str(group) for group in groups.tolist()]
    unknown = sum(word.lower() in ("none", "nan", "") for word in words)
    if unknown:
        raise DataError(f"{unknown} of {images} images have no patient: whole patients can't be drawn")
    found: Array = np.unique(np.array(words), return_inverse=True)[1]
    return found.astype(np.int64)


def interval(values: Array, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """The percentile interval (Efron & Tibshirani 1993, chapter 13) of a score's resampled `values` (B,).

    A NaN is a resample in which the score is not defined, and is left out; None where that leaves fewer
    than half of them. Of the calibration error it lies too high, and may leave out the score itself: a
    resample adds its own noise to each bin, and noise widens the gaps that it sums.

    Raises:
        ConfigError: the confidence is not between 0 and 1.
        DataError: there are no values.
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence is {confidence}; it must lie between 0 and 1")
    if values.ndim != 1 or not len(values):
        raise DataError(f"values are {values.shape}, not (resamples,): there is no interval of none")
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def estimate(value: float, values: Array, confidence: float = CONFIDENCE) -> Estimate:
    """Join a score of the images themselves, NaN where it has none, with its resampled `values` (B,).

    Raises:
        ConfigError, DataError: as `interval`.
    """
    ends = interval(values, confidence)
    used = int((~np.isnan(values)).sum())
    if np.isnan(value):
        return Estimate(None, None, None, used)
    low, high = ends or (None, None)
    return Estimate(float(value), low, high, used)


def bootstrap(measures: Mapping[str, Measure], counts: Iterable[Array]) -> dict[str, dict[str, Array]]:
    """Score every model on the same resamples; by model and score, float64 (B,), NaN where not defined.

    `counts` are what `resample_counts` draws, or an array (B, N); each row is used once and let go.

    Raises:
        DataError: there are no models or no resamples, the models are not measured on the same images, or a
            resample does not fit them.
    """
    _check_same_images(measures)
    drawn: dict[str, list[list[float]]] = {model: [] for model in measures}
    for row in counts:
        for model, measure in measures.items():
            drawn[model].append(list(measure.scores(row).values()))
    if not all(drawn.values()):
        raise DataError("no resamples: there is nothing to score the models on")
    return {model: dict(zip(MODES, np.array(rows).T, strict=True)) for model, rows in drawn.items()}


def _check_same_images(measures: Mapping[str, Measure]) -> None:
    if not measures:
        raise DataError("no models: there is nothing to score")
    (first, reference), *others = measures.items()
    for name, measure in others:
        same = measure.classes == reference.classes and np.array_equal(measure.labels, reference.labels)
        if not same:
            raise DataError(f"'{name}' and '{first}' are not measured on the same images: their labels differ")
