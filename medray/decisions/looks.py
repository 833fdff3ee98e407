"""Looks: a few numbers of an image as the networks see it, and where it stands in them among the study's images.

They tell nobody's identity and no image, so that a log may hold them; `medray monitor` reads from them whether the
images in use have become darker, flatter or sharper than those that the networks learned from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.data.similarity.measures import black_share, measure, shrink
from medray.json_document import JsonDocument

#: Names of the looks, and what they are of; all at 64 x 64, see `medray.data.similarity.measures`.
LOOKS = {
    "brightness": "mean of the grey levels, 0 to 255",
    "contrast": "their standard deviation",
    "sharpness": "variance of their Laplacian",
    "black": "share of black pixels",
}
LEVELS = 201  # of a distribution that are kept
CHUNK = 256  # images that are measured at once


def measure_looks(images: Array) -> dict[str, Array]:
    """Return each of `LOOKS`, float64 (N,), of uint8 images (N, H, W, C)."""
    parts = []
    for start in range(0, len(images), CHUNK):
        measures = measure(shrink(images[start : start + CHUNK]))
        parts.append(measures | {"black": black_share(measures["thumbnail"])})
    return {name: np.concatenate([part[name] for part in parts]).astype(np.float64) for name in LOOKS}


@dataclass(frozen=True)
class LookDistribution(JsonDocument):
    """The distribution of a look among images: `levels` rise, from the least to the greatest, in equal steps."""

    levels: tuple[float, ...]

    def check(self) -> None:
        """Check that there are levels, and that they rise."""
        if not self.levels or list(self.levels) != sorted(self.levels):
            raise ValueError("levels must rise")

    def ranks(self, values: Sequence[float] | Array) -> Array:
        """Return the share of these images below each of `values` (n,), equal ones counted half: 0..1, (n,)."""
        below, up_to = (np.searchsorted(self.levels, values, side) for side in ("left", "right"))
        ranks: Array = (below + up_to) / (2 * len(self.levels))
        return ranks


@dataclass(frozen=True)
class Looks(JsonDocument):
    """The distributions of all looks among `images` images of `patients` patients (images where not known).

    Each patient counts the same, however many images it has, as in what is compared with it.
    """

    images: int
    patients: int
    looks: dict[str, LookDistribution]

    def check(self) -> None:
        """Check that these are the looks that are measured."""
        if {*self.looks} != {*LOOKS} or not 1 <= self.patients <= self.images:
            raise ValueError(f"looks are {', '.join(self.looks)}, of {self.patients} patients")

    @property
    def uncertainty(self) -> float:
        """How far a mean rank of images like these may be off one half, because these are so few patients.

        Three and a half standard errors of a mean of ranks, which have a variance of at most 1/12 for each
        patient.
        """
        return 3.5 / math.sqrt(12 * self.patients)

    @classmethod
    def of(cls, images: Array, groups: Array | None = None) -> "Looks":
        """Measure uint8 images (N, H, W, C) of the patients `groups` (N,)."""
        patients = np.arange(len(images)) if groups is None else groups.astype(str)
        _, patient, counts = np.unique(patients, return_inverse=True, return_counts=True)
        shares, weights = np.linspace(0, 1, min(LEVELS, len(images))), 1 / counts[patient]
        measured = {
            name: LookDistribution(
                tuple(np.quantile(values, shares, method="inverted_cdf", weights=weights).round(4).tolist())
            )
            for name, values in measure_looks(images).items()
        }
        return cls(len(images), len(counts), measured)
