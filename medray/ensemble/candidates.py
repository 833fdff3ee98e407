"""Candidates for an ensemble: a trial of the search, or a setting with the models of all its folds.

Candidates are compared by their predictions of the same images: trials on the validation split, settings on the
images that their folds held out.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from medray._types import Array
from medray.errors import RunError
from medray.runs.fold_results import CrossvalTrial
from medray.runs.kept_weights import KEPT
from medray.runs.leaderboard import distinct, rank, usable
from medray.runs.rundir import RunDir, TrialDir, read_predictions
from medray.runs.trial_record import TrialRecord
from medray.stats.case_rule import CaseRule
from medray.tasks import SINGLE, TASKS, Task

NetworkKey = tuple[int, int | None]  # trial, and fold or None
TRIALS, FOLDS = "trials", "folds"
SELECTED_ON = {TRIALS: "val", FOLDS: "out-of-fold"}


@dataclass(frozen=True)
class Member:
    """One trained network, by the folder that it lies in; `fold` is None for a trial's own."""

    record: TrialRecord
    folder: TrialDir
    fold: int | None = None

    @property
    def key(self) -> NetworkKey:
        """What tells it from all other networks of the run."""
        return self.record.number, self.fold

    @property
    def name(self) -> str:
        """Name of its file in an ensemble."""
        return f"{self.record.number:04d}" + ("" if self.fold is None else f"_fold_{self.fold}")


@dataclass(frozen=True)
class Candidate:
    """Networks that come and go together, with their probabilities (N, classes) and objective.

    Probabilities are answers to cases where the run has cases.
    """

    number: int
    members: tuple[Member, ...]
    probabilities: Array
    objective: float


@dataclass(frozen=True)
class Pool:
    """Candidates that were judged on the same images or cases, best first, with the labels (N,) of these.

    `cases` is the rule by which images make cases, None where each image is answered by itself.
    """

    source: str
    candidates: list[Candidate]
    labels: Array
    task: Task = SINGLE
    cases: CaseRule | None = None

    @property
    def selected_on(self) -> str:
        """The images that they are compared on: val, or out-of-fold."""
        return SELECTED_ON[self.source]


def trial_pool(
    run: RunDir, records: Sequence[TrialRecord], mode: str, limit: int | None = None, task: str = SINGLE.name,
    cases: CaseRule | None = None,
) -> Pool:  # fmt: skip
    """Return the trials of a search, best on validation first.

    Of trials with equal predictions, and of linear heads on the same features, only the first. Only the best have
    weights still (`medray/runs/kept_weights.py`).

    Raises:
        RunError: predictions are missing or damaged, or of other images than another trial's.
    """
    candidates: list[Candidate] = []
    digests: set[bytes] = set()
    labels = np.empty(0, dtype=np.int64)
    for record in islice(distinct(rank(usable(records), mode)), KEPT):
        folder = run.trial(record.number)
        probabilities, trial_labels = read_predictions(folder, record.best_epoch, cases)
        labels = labels if candidates else trial_labels
        shape = candidates[0].probabilities.shape if candidates else probabilities.shape
        if not np.array_equal(trial_labels, labels) or probabilities.shape != shape:
            raise RunError(f"{folder.path(folder.PREDICTIONS)} is of other images than the other trials'")
        digest = hashlib.sha256(np.ascontiguousarray(probabilities).data).digest()
        if digest not in digests:
            digests.add(digest)
            assert record.objective is not None
            candidates.append(Candidate(record.number, (Member(record, folder),), probabilities, record.objective))
        if len(candidates) == limit:
            break
    return Pool(TRIALS, candidates, labels, TASKS[task], cases)


def fold_pool(run: RunDir, trials: Sequence[CrossvalTrial], task: str = SINGLE.name) -> Pool:
    """Return the cross-validated settings, best first; each stands for the models of all its folds."""
    candidates = [
        Candidate(
            trial.number,
            tuple(Member(r, run.fold(trial.number, i), i) for i, r in enumerate(trial.records)),
            trial.answers,
            trial.objective,
        )
        for trial in trials
    ]
    labels = trials[0].answered_labels if trials else np.empty(0, dtype=np.int64)
    rule = trials[0].cases.rule if trials and trials[0].cases is not None else None
    return Pool(FOLDS, candidates, labels, TASKS[task], rule)
