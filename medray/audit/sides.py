"""Parts: which images are on which side, of the splits or of one ready-made fold; the checks go over these."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.audit.survey import Survey

TRAINED, HELD_OUT = "training", "held out"


@dataclass(frozen=True)
class Parts:
    """Two or more parts that must not share anything.

    `side` int64 (n,) is each image's part by its number in `names`, -1 where it is in none. `prefix` says in a
    message which fold it is.
    """

    names: tuple[str, ...]
    side: Array
    prefix: str = ""

    def __len__(self) -> int:
        return len(self.names)


def split_parts(survey: Survey) -> Parts:
    """The splits as parts; none where the source names no split."""
    number = {name: place for place, name in enumerate(survey.split_names)}
    side = np.array([-1 if name is None else number[name] for name in survey.splits], dtype=np.int64)
    return Parts(survey.split_names, side)


def fold_parts(survey: Survey) -> list[Parts]:
    """Each ready-made fold as two parts; an image on both sides counts as held out."""
    found = []
    for number, (train, val) in enumerate(survey.folds or ()):
        side = np.full(len(survey), -1, dtype=np.int64)
        side[train] = 0
        side[val] = 1
        found.append(Parts((TRAINED, HELD_OUT), side, f"fold {number}"))
    return found
