"""Parts: which split, or which side of a ready-made fold, each image belongs to."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.audit.survey import ImageRecords
from medray.data.members import UNKNOWN

TRAINED, HELD_OUT = "training", "held out"


@dataclass(frozen=True)
class Parts:
    """Two or more parts that must not share an image, a duplicate or a patient.

    `side` int64 (n,) is the part of each image as an index into `names`, -1 where it is in none. `prefix` names
    the fold in a message.
    """

    names: tuple[str, ...]
    side: Array
    prefix: str = ""

    def __len__(self) -> int:
        return len(self.names)


def split_parts(records: ImageRecords) -> Parts:
    """Return the splits as parts; no parts where the source names no split."""
    index = {name: position for position, name in enumerate(records.split_names)}
    side = np.array([-1 if name is None else index[name] for name in records.splits], dtype=np.int64)
    return Parts(records.split_names, side)


def label_parts(records: ImageRecords) -> Parts:
    """Return the classes as parts, or each set of labels that some image has; an uncertain one is in none."""
    if not records.label_sets:
        return Parts(records.class_names, records.classes())
    answers = records.answers()
    if records.none_label is not None:
        answers[:, records.class_names.index(records.none_label)] = 0
    sets, side = np.unique(answers, axis=0, return_inverse=True)
    side = np.where((answers == UNKNOWN).any(axis=1), -1, side.reshape(-1))
    names = [", ".join(records.class_names[i] for i in np.flatnonzero(row == 1)) for row in sets]
    return Parts(tuple(names), side)


def fold_parts(records: ImageRecords) -> list[Parts]:
    """Return each ready-made fold as two parts; an image on both sides counts as held out."""
    parts = []
    for number, (train, val) in enumerate(records.folds or ()):
        side = np.full(len(records), -1, dtype=np.int64)
        side[train] = 0
        side[val] = 1
        parts.append(Parts((TRAINED, HELD_OUT), side, f"fold {number}"))
    return parts
