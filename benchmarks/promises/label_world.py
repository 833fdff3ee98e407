"""Drawn answers to images that may have several labels: rare ones, ones that go together, and unknown ones.

A network answers each label's log-odds, which it is too sure of. Labels go together by one latent number that all
of an image share, and so do the network's errors; a patient's images share half the variance of both.
"""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.stats.label_set_predictions import LabelSetPredictions

COLUMNS = ("labels", "images", "with each", "together", "of each patient", "unknown")  # those of `cells`
SHARED = 0.5  # share of the variance that all images of a patient have in common
SEPARATION = 2.0  # of a label's images from all others, in standard deviations
SURE = 2.0  # times as sure as the noise allows


@dataclass(frozen=True)
class LabelCondition:
    """The kind of study: labels, images, how many of these have each label, and how labels go `together`.

    `together` is the correlation of two labels' latent numbers; `unknown` the share of answers that nobody knows,
    whatever they are.
    """

    labels: int
    images: int
    cases: int
    together: float
    per_patient: int
    unknown: float = 0.0

    @property
    def cells(self) -> list[str]:
        """The first cells of a table's row."""
        numbers = (self.labels, self.images, self.cases, self.together, self.per_patient, self.unknown)
        return [f"{number:g}" for number in numbers]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names."""
        return tuple(map(str, range(self.labels)))

    def draw(self, images: int, rng: np.random.Generator) -> tuple[LabelSetPredictions, Array | None]:
        """Return a network's answers to about so many images, and their patients where these have several."""
        from scipy.special import expit
        from scipy.stats import norm

        groups = np.repeat(np.arange(images // self.per_patient), self.per_patient)
        rate = self.cases / self.images
        labels = (self._noise(groups, rng) < norm.ppf(rate)).astype(np.int64)
        seen = SEPARATION * labels + self._noise(groups, rng)
        odds = SURE * (SEPARATION * (seen - SEPARATION / 2) + np.log(rate / (1 - rate)))
        labels[rng.random(labels.shape) < self.unknown] = -1
        predictions = LabelSetPredictions(expit(odds).astype(np.float32), labels, self.labels)
        return predictions, None if self.per_patient == 1 else groups

    def _noise(self, groups: Array, rng: np.random.Generator) -> Array:
        """Return normal numbers (n, labels) that labels share by `together` and a patient's images by `SHARED`."""
        total = np.zeros((len(groups), self.labels))
        for columns, share in ((1, self.together), (self.labels, 1 - self.together)):
            of_patient = rng.normal(size=(groups[-1] + 1, columns))[groups]
            of_image = rng.normal(size=(len(groups), columns))
            total += share**0.5 * (SHARED**0.5 * of_patient + (1 - SHARED) ** 0.5 * of_image)
        return total
