"""Mirrored images and turns by 90°: exact."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from medray._types import Array
from medray.errors import ConfigError
from medray.training.transforms.arguments import Arguments
from medray.training.transforms.batch import Batch, Form

# Columns and rows of the source by x, y, and whether they are counted from the far side.
_UPRIGHT, _MIRRORED, _FLIPPED, _HALF = (1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)
_TRANSPOSED, _LEFT, _RIGHT, _OTHER_DIAGONAL = (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, -1, 0), (0, -1, -1, 0)
_ELEMENTS = {
    "HorizontalFlip": (_MIRRORED,),
    "VerticalFlip": (_FLIPPED,),
    "Transpose": (_TRANSPOSED,),
    "RandomRotate90": (_UPRIGHT, _LEFT, _HALF, _RIGHT),
    "D4": (_UPRIGHT, _MIRRORED, _FLIPPED, _HALF, _TRANSPOSED, _LEFT, _RIGHT, _OTHER_DIAGONAL),
}


@dataclass(frozen=True)
class Turn(Form):
    """One of some symmetries of the square, each equally likely."""

    name: str

    @classmethod
    @override
    def read(cls, arguments: Arguments, name: str) -> Self:
        arguments.finish()
        return cls(name)

    @override
    def __call__(self, batch: Batch, rows: Array, rng: np.random.Generator) -> None:
        elements = _ELEMENTS[self.name]
        if batch.height != batch.width and any(element[0] == 0 for element in elements):
            raise ConfigError(
                f"turns images of {batch.height}×{batch.width} on their side, which changes their shape: use it "
                "with square images, or flips",
                key=self.name,
            )
        drawn = rng.integers(len(elements), size=batch.count)[rows]
        maps = np.array([_matrix(element, batch.width, batch.height) for element in elements])
        batch.turn(rows, maps[drawn])


def _matrix(element: tuple[int, int, int, int], width: int, height: int) -> list[list[float]]:
    """Return the map (3, 3) from a pixel of the result to its source."""
    a, b, c, d = element
    return [[a, b, width - 1.0 if a + b < 0 else 0.0], [c, d, height - 1.0 if c + d < 0 else 0.0], [0, 0, 1]]
