"""What can be in an ensemble: a trial of the search, or a setting with the models of all its folds.

Candidates are compared by what they say of the same images: trials by the validation split, settings by the
images that their folds held out.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import RunError
from medray.runs.fold_results import FoldedSetting
from medray.runs.leaderboard import rank, usable
from medray.runs.rundir import RunDir, TrialDir, TrialRecord, read_predictions

TRIALS, FOLDS = "trials", "folds"
CHOSEN_ON = {TRIALS: "val", FOLDS: "out-of-fold"}


@dataclass(frozen=True)
class Member:
    """One trained network, by the folder that it lies in; `fold` is None for a trial's own."""

    record: TrialRecord
    folder: TrialDir
    fold: int | None = None

    @property
    def key(self) -> tuple[int, int | None]:
        """Trial and fold."""
        return self.record.number, self.fold

    @property
    def name(self) -> str:
        """Name of its file in an ensemble."""
        return f"{self.record.number:04d}" + ("" if self.fold is None else f"_fold_{self.fold}")


@dataclass(frozen=True)
class Candidate:
    """Networks that come and go together, with their probabilities (N, classes) and objective."""

    number: int
    members: tuple[Member, ...]
    probabilities: Array
    objective: float


@dataclass(frozen=True)
class Pool:
    """Candidates that were judged on the same images, best first, with the labels (N,) of these images."""

    source: str
    candidates: list[Candidate]
    labels: Array

    @property
    def chosen_on(self) -> str:
        """The images that they are compared on: val, or out-of-fold."""
        return CHOSEN_ON[self.source]


def trial_pool(run: RunDir, records: Sequence[TrialRecord], mode: str, limit: int | None = None) -> Pool:
    """The search's trials, best on validation first; one that another repeats is not counted twice.

    Raises:
        RunError: predictions are missing or damaged, or of other images than another trial's.
    """
    found: list[Candidate] = []
    shown: set[bytes] = set()
    labels = np.empty(0, dtype=np.int64)
    for record in rank(usable(records), mode):
        folder = run.trial(record.number)
        probabilities, own = read_predictions(folder, record.best_epoch)
        labels = labels if found else own
        if not np.array_equal(own, labels) or (found and probabilities.shape != found[0].probabilities.shape):
            raise RunError(f"{folder.path(folder.PREDICTIONS)} is of other images than the other trials'")
        digest = hashlib.sha256(np.ascontiguousarray(probabilities).data).digest()
        if digest not in shown:
            shown.add(digest)
            assert record.objective is not None
            found.append(Candidate(record.number, (Member(record, folder),), probabilities, record.objective))
        if len(found) == limit:
            break
    return Pool(TRIALS, found, labels)


def fold_pool(run: RunDir, settings: Sequence[FoldedSetting]) -> Pool:
    """The cross-validated settings, best first; each stands for the models of all its folds."""
    found = [
        Candidate(
            setting.number,
            tuple(Member(r, run.fold(setting.number, i), i) for i, r in enumerate(setting.records)),
            setting.probabilities,
            setting.objective,
        )
        for setting in settings
    ]
    return Pool(FOLDS, found, settings[0].labels if settings else np.empty(0, dtype=np.int64))
