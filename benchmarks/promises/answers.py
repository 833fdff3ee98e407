"""One network's answers to many patients, from whom test splits are drawn: their truth is known exactly."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.stats.scores import Predictions

from .population import FEATURES, Condition, Network, Population

TRAINED_ON, PATIENTS = 6000, 20_000


@dataclass(frozen=True)
class AnsweredPatients:
    """Log-odds float64 (patients, images of each) that an image is a case, and the patients' labels int64."""

    logits: Array
    labels: Array

    @classmethod
    def of(cls, population: Population, condition: Condition, rng: np.random.Generator) -> "AnsweredPatients":
        """Train a network on `TRAINED_ON` images and ask it about `PATIENTS` patients of the condition."""
        train = population.draw(condition, TRAINED_ON, rng, 1)
        new = population.draw(condition, PATIENTS * condition.per_patient, rng, condition.per_patient)
        chance = Network(np.arange(FEATURES), 0.1).fit(train).predict(new.features)[:, 1].astype(np.float64)
        shape = (PATIENTS, condition.per_patient)
        return cls(np.log(chance / (1 - chance)).reshape(shape), new.labels.reshape(shape)[:, 0])

    def at(self, rows: Array) -> "AnsweredPatients":
        """Return the patients at `rows`."""
        return AnsweredPatients(self.logits[rows], self.labels[rows])

    def draw(self, images: int, rng: np.random.Generator) -> "AnsweredPatients":
        """Return a test split: patients, of whom each is equally likely, with about `images` images together."""
        return self.at(rng.integers(len(self.labels), size=images // self.logits.shape[1]))

    @property
    def predictions(self) -> Predictions:
        """The answers to all images, patient by patient."""
        chance = (1 / (1 + np.exp(-self.logits.ravel()))).astype(np.float32)
        labels = np.repeat(self.labels, self.logits.shape[1])
        return Predictions(np.stack([1 - chance, chance], axis=1), labels, 2)

    @property
    def groups(self) -> Array | None:
        """The patient of each image, int64 (images,); None where each has one image, as if none were known."""
        each = self.logits.shape[1]
        return None if each == 1 else np.repeat(np.arange(len(self.labels)), each)
