"""Images of two classes and their patients, as hard as a kind of study asks, and networks that learn them."""

import sys
import warnings
from dataclasses import dataclass, field

import numpy as np

from medray._types import Array
from medray.stats.metrics import roc_auc

FEATURES = 40
WITHIN_PATIENT = 0.6  # share of the noise's variance that all images of a patient have in common


@dataclass(frozen=True)
class Condition:
    """The kind of study: AUC that much training would reach, images, share of cases, images of each patient."""

    auc: float
    images: int
    cases: float
    per_patient: int

    @property
    def cells(self) -> list[str]:
        """The first four cells of a table's row."""
        return [str(self.auc), str(self.images), f"{self.cases:g}", str(self.per_patient)]


@dataclass(frozen=True)
class Images:
    """Features (n, FEATURES), labels int64 (n,), and the patient of each image, int64 (n,)."""

    features: Array
    labels: Array
    patients: Array

    def at(self, rows: Array) -> "Images":
        """Return the images at `rows`."""
        return Images(self.features[rows], self.labels[rows], self.patients[rows])


class Population:
    """Images of two classes, from which patients are drawn; noise makes them as hard as a condition says.

    `data` is an .npz of two classes in MedMNIST's form; without it the images' features are drawn.
    """

    def __init__(self, data: str | None, seed: int) -> None:
        rng = np.random.default_rng(seed)
        if data is None:
            self.labels = np.arange(6000) % 2
            shift = rng.normal(size=FEATURES) * 0.5
            self.features = rng.normal(size=(6000, FEATURES)) + shift * (2 * self.labels[:, None] - 1)
        else:
            from sklearn.decomposition import PCA

            with np.load(data) as arrays:
                parts = [arrays[f"{split}_images"].reshape(len(arrays[f"{split}_images"]), -1) / 255
                         for split in ("train", "val", "test")]  # fmt: skip
                labels = [arrays[f"{split}_labels"].ravel() for split in ("train", "val", "test")]
            self.labels = np.concatenate(labels).astype(np.int64)
            if self.labels.max() != 1:
                sys.exit(f"{data}: {self.labels.max() + 1} classes; two are needed")
            whitened = PCA(FEATURES, whiten=True, random_state=0).fit_transform(np.concatenate(parts))
            self.features = whitened
        self._by_class = [np.flatnonzero(self.labels == label) for label in (0, 1)]
        self._noise: dict[float, float] = {}

    def draw(self, condition: Condition, images: int, rng: np.random.Generator, per_patient: int) -> Images:
        """Draw at least `images` images of patients of one class each."""
        patients = -(-images // per_patient)
        labels = (rng.random(patients) < condition.cases).astype(np.int64)
        other, case = (rng.choice(rows, size=patients) for rows in self._by_class)
        rows = np.where(labels == 1, case, other)
        shared = rng.normal(size=(patients, FEATURES)) * WITHIN_PATIENT**0.5
        repeat = np.repeat(np.arange(patients), per_patient)
        alone = rng.normal(size=(len(repeat), FEATURES)) * (1 - WITHIN_PATIENT) ** 0.5
        noise = self._noise_for(condition.auc)
        return Images(self.features[rows[repeat]] + noise * (shared[repeat] + alone), labels[repeat], repeat)

    def _noise_for(self, auc: float) -> float:
        """Return the noise with which a network trained on many images has the AUC, or none if it never has it."""
        if auc not in self._noise:
            low, high = 0.0, 20.0
            for _ in range(12):
                self._noise[auc] = (low + high) / 2
                rng = np.random.default_rng(1)
                even = Condition(auc, 0, 0.5, 1)
                train, new = (self.draw(even, 6000, rng, 1) for _ in range(2))
                network = Network(np.arange(FEATURES), 0.1).fit(train)
                reached = roc_auc(network.predict(new.features)[:, 1], new.labels == 1)
                low, high = ((low + high) / 2, high) if reached > auc else (low, (low + high) / 2)
        return self._noise[auc]


@dataclass
class Network:
    """A logistic regression of some of the features; `strength` is scikit-learn's C: high ones overfit."""

    columns: Array
    strength: float
    _model: object = field(default=None, repr=False)

    def fit(self, images: Images) -> "Network":
        """Return another one, trained on the images."""
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that end early, as training does
            model = LogisticRegression(C=self.strength, max_iter=60)
            model.fit(images.features[:, self.columns], images.labels)
        return Network(self.columns, self.strength, model)

    def predict(self, features: Array) -> Array:
        """Return probabilities float32 (n, 2)."""
        logits = features[:, self.columns] @ self._model.coef_[0] + self._model.intercept_[0]  # type: ignore[attr-defined]
        positive = 1 / (1 + np.exp(-logits.clip(-30, 30)))
        return np.stack([1 - positive, positive], axis=1).astype(np.float32)
