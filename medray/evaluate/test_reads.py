"""The reads of the test split that a run stores: when it was read, and the results.

    evaluation/read_0001/begun.json              when, for which ensemble, data and test split; before any score
    evaluation/read_0001/train_predictions.npz   of the baselines, where a report has figures on train
    evaluation/read_0001/test_predictions.npz    probabilities of every model
    evaluation/read_0001/scores.json             all scores; written last

A read counts once it has begun, finished or not: whoever has seen scores can't unsee them. It begins when
predictions are about to be compared with the labels; what fails before that does not count.
"""

import datetime
import hashlib
import io
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medray import __version__
from medray._types import Array
from medray.errors import RunError
from medray.evaluate.scores_document import ReadFacts, ReadScores
from medray.runs.folder import Folder, read_arrays
from medray.runs.rundir import MANIFEST, RunDir
from medray.space.published import TEST

BEGUN, SCORES = "begun.json", "scores.json"
READ = r"read_(\d+)"  # the name of a read's folder


@dataclass(frozen=True)
class TestRead:
    """One read of the test split: its number, from 1, and its folder."""

    number: int
    folder: Folder

    def begin(self, ensemble: str, data: str, test: str) -> ReadFacts:
        """Write begun.json, from which on the read counts, and return it; arguments are SHA-256 digests."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        facts = ReadFacts(self.number, now, ensemble, data, test, __version__, uuid.uuid4().hex)
        self.folder.write_json(BEGUN, facts.to_dict())
        return facts

    def facts(self) -> ReadFacts:
        """Return begun.json.

        Raises:
            RunError: the file is damaged.
        """
        return self.folder.read_document(BEGUN, ReadFacts)

    def write(self, scores: ReadScores, labels: Array, predictions: Mapping[str, Array]) -> None:
        """Write the test predictions by the name of the model, then all scores."""
        self.write_predictions(TEST, labels, predictions)
        self.folder.write_json(SCORES, scores.to_dict())

    def write_predictions(self, split: str, labels: Array, predictions: Mapping[str, Array]) -> None:
        """Write probabilities (n, classes) by the name of the model, and labels (n,), of a split."""
        stream = io.BytesIO()
        arrays = {f"model_{i}": probabilities for i, probabilities in enumerate(predictions.values())}
        np.savez(stream, labels=labels, models=np.array(list(predictions)), **arrays)  # type: ignore[arg-type]
        self.folder.write(f"{split}_predictions.npz", stream.getvalue())

    def scores(self) -> ReadScores | None:
        """Return all scores, None where the read was interrupted.

        Raises:
            RunError: the file is damaged.
        """
        return self.folder.read_document(SCORES, ReadScores) if self.folder.exists(SCORES) else None

    def has_predictions(self, split: str) -> bool:
        """Return whether predictions of the split were written."""
        return self.folder.exists(f"{split}_predictions.npz")

    def predictions(self, split: str = TEST) -> tuple[dict[str, Array], Array]:
        """Return probabilities float32 (n, classes) by the name of the model, and labels int64 (n,).

        Raises:
            RunError: the file is missing or damaged.
        """
        file = f"{split}_predictions.npz"
        models, labels = read_arrays(self.folder, file, "models", "labels")
        arrays = read_arrays(self.folder, file, *(f"model_{i}" for i in range(len(models))))
        return dict(zip(map(str, models), arrays, strict=True)), labels


def stored_reads(run: RunDir) -> list[TestRead]:
    """Return all reads of a run's test split that have begun, in their order."""
    matches = [re.fullmatch(READ, name) for name in run.evaluation.names()]
    reads = [TestRead(int(match[1]), run.evaluation.child(match[0])) for match in matches if match]
    return sorted((read for read in reads if read.folder.exists(BEGUN)), key=lambda read: read.number)


def new_read(run: RunDir) -> TestRead:
    """Return a read with the next number, which has not begun."""
    number = max((read.number for read in stored_reads(run)), default=0) + 1
    return TestRead(number, run.evaluation.child(f"read_{number:04d}"))


def ensemble_fingerprint(run: RunDir) -> str:
    """Return the SHA-256 of the ensemble's manifest, which holds those of its members.

    Raises:
        RunError: the run has no ensemble.
    """
    if not run.ensemble.exists(MANIFEST):
        raise RunError(f"{run.location} has no ensemble; first: medray ensemble {run.location}")
    return hashlib.sha256(run.ensemble.read(MANIFEST)).hexdigest()
