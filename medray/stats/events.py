"""Event: what is decided about an image, such as "malignant", or "grade 2 or more"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.json_document import JsonDocument
from medray.stats.label_sets import binary_table
from medray.stats.validate import class_index

OR_MORE = "or more"


class Answers(NamedTuple):
    """An event's probabilities float64 (n,), whether images have it bool (n,), and their patients (n,)."""

    scores: Array
    having: Array
    groups: Array | None

    @property
    def table(self) -> tuple[Array, Array]:
        """The same as probabilities (n, 2) of two classes, and labels int64 (n,)."""
        return binary_table(self.scores), self.having.astype(np.int64)


@dataclass(frozen=True)
class Event(JsonDocument):
    """The class or label at `class_index`, or of grades that class `and_above`."""

    name: str
    class_index: int
    and_above: bool = False

    @classmethod
    def named(cls, positive: str | None, class_names: Sequence[str], *, cut: bool = False) -> "Event":
        """Return the event of the class `positive`; with `cut`, of it and all above it in `class_names`.

        Raises:
            ConfigError: it is no class, or None, or the lowest grade: no image is below that.
        """
        index = class_index(positive, class_names)
        if cut and index == 0:
            raise ConfigError(
                f"'{class_names[0]}' is the lowest grade, and every image is of it or more; valid: "
                f"{', '.join(class_names[1:])}"
            )
        return cls.at(index, class_names, cut=cut)

    @classmethod
    def at(cls, index: int, class_names: Sequence[str], *, cut: bool = False) -> "Event":
        """Return the event of the class at an index; with `cut`, of it and all above it."""
        name = class_names[index]
        last = index == len(class_names) - 1
        return cls(f"{name} {OR_MORE}" if cut and not last else name, index, cut)

    def of(self, labels: Array) -> Array:
        """Return whether images of these labels, int64 (N,) or (N, classes), have the event, bool (N,)."""
        if labels.ndim == 2:
            of_label: Array = labels[:, self.class_index] == 1
            return of_label
        having: Array = labels >= self.class_index if self.and_above else labels == self.class_index
        return having

    def known(self, labels: Array) -> Array:
        """Return whether it is known of images of these labels if they have the event, bool (N,)."""
        known: Array = labels[:, self.class_index] >= 0 if labels.ndim == 2 else np.ones(len(labels), dtype=bool)
        return known

    def answers(self, probabilities: Array, labels: Array, groups: Array | None = None) -> Answers:
        """Return what is said and known of the event, of images where it is known; `groups` (N,) are patients.

        Raises:
            DataError: the probabilities lack the class.
        """
        known = self.known(labels)
        kept = None if groups is None else groups[known]
        return Answers(self.scores(probabilities[known]), self.of(labels[known]), kept)

    def scores(self, probabilities: Array) -> Array:
        """Return the event's probability by probabilities (N, classes), float64 (N,).

        A float32 threshold could fall on a score.

        Raises:
            DataError: the probabilities lack the class.
        """
        if self.class_index >= probabilities.shape[1]:
            raise DataError(
                f"probabilities are of {probabilities.shape[1]} classes; '{self.name}' is at {self.class_index}"
            )
        exact = probabilities.astype(np.float64)
        if not self.and_above:
            return exact[:, self.class_index]
        total: Array = exact[:, self.class_index :].sum(axis=1).clip(0.0, 1.0)
        return total

    def check(self) -> None:
        """Check that the index can be."""
        if self.class_index < 0:
            raise ValueError("class_index is below 0")
