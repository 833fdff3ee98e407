"""Outputs: a network's answers to images, before those of a case become one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array


@dataclass(frozen=True, eq=False)
class Outputs:
    """Probabilities of images, float32 (N, K), and of a network that attends the score of each, float32 (N,).

    A score says nothing alone: its exponential is an image's weight beside the other images of its case.
    """

    probabilities: Array
    scores: Array | None = None

    def __len__(self) -> int:
        return len(self.probabilities)

    def at(self, rows: Array | slice) -> "Outputs":
        """Return the outputs of some images."""
        return Outputs(self.probabilities[rows], None if self.scores is None else self.scores[rows])


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Return the outputs of a network, one or more, as one, in their order."""
    scores = [part.scores for part in parts if part.scores is not None]
    probabilities = np.concatenate([part.probabilities for part in parts])
    return Outputs(probabilities, np.concatenate(scores) if scores else None)
