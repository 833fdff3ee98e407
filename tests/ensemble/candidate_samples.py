"""Candidates and pools for tests, without any training."""

from collections.abc import Sequence

import numpy as np

from medray._types import Array
from medray.ensemble.candidates import FOLDS, TRIALS, Candidate, Member, Pool
from medray.runs.rundir import TrialDir
from medray.runs.trial_record import FINISHED, TrialRecord


def candidate(number: int, probabilities: Array, objective: float = 0.5, folds: int | None = None) -> Candidate:
    """A trial, or a setting of so many folds, whose networks lie nowhere."""
    record = TrialRecord(number, FINISHED, objective=objective, best_epoch=1)
    parts = [None] if folds is None else range(folds)
    members = tuple(Member(record, TrialDir(f"nowhere/{number}/{fold}"), fold) for fold in parts)
    return Candidate(number, members, probabilities, objective)


def candidates(parts: Sequence[Array]) -> list[Candidate]:
    return [candidate(number, part) for number, part in enumerate(parts)]


def pool(parts: Sequence[Array], labels: Array, folds: int | None = None) -> Pool:
    members = [candidate(number, part, folds=folds) for number, part in enumerate(parts)]
    return Pool(TRIALS if folds is None else FOLDS, members, labels)


def noisy(rng: np.random.Generator, labels: Array, classes: int, skill: float) -> Array:
    """What a network of this skill may say, float32 (N, classes)."""
    logits = rng.normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += skill
    exact = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exact / exact.sum(axis=1, keepdims=True)).astype(np.float32)
