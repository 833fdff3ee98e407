"""Predictions of several labels an image, of known truth: patients, labels that go together, some unknown."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.stats.label_set_predictions import LabelSetPredictions


@dataclass(frozen=True)
class LabelSetWorld:
    """Patients of up to `mates` images each, whose labels of these `rates` go together within patient by `shared`.

    The probabilities are calibrated but for what images share; labels are told apart by `separation`.
    """

    patients: int
    mates: int
    rates: tuple[float, ...]
    separation: float = 1.0
    shared: float = 0.3
    unknown: float = 0.0

    def draw(self, rng: np.random.Generator, patients: int | None = None) -> tuple[LabelSetPredictions, Array]:
        """Return predictions, and the patient of each image."""
        from scipy.special import expit
        from scipy.stats import norm

        count, rates, classes = patients or self.patients, np.array(self.rates), len(self.rates)
        groups = np.repeat(np.arange(count), rng.integers(1, self.mates + 1, count))
        shape, share, alone = (len(groups), classes), np.sqrt(self.shared), np.sqrt(1 - 2 * self.shared)
        latent = share * rng.normal(size=(count, 1))[groups] + share * rng.normal(size=(count, classes))[groups]
        labels = (latent + alone * rng.normal(size=shape) < norm.ppf(rates)).astype(np.int64)
        noise = share * rng.normal(size=(count, 1))[groups] + np.sqrt(1 - self.shared) * rng.normal(size=shape)
        scores = noise + self.separation * labels
        odds = self.separation * (scores - self.separation / 2) + np.log(rates / (1 - rates))
        labels[rng.random(shape) < self.unknown] = -1
        return LabelSetPredictions(expit(odds).astype(np.float32), labels, classes), groups
