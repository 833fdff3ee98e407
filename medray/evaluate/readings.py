"""The store of the test split's answers: each time it was read, and what it said.

    evaluation/reading_0001/begun.json              when, for which ensemble and data; before it is read
    evaluation/reading_0001/test_predictions.npz    probabilities of every model
    evaluation/reading_0001/scores.json             all figures; written last

A reading that was begun counts, whether or not it came to its end: who has seen the figures can't unsee them.
"""

import datetime
import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray import __version__
from medray.data.dataset import Array
from medray.ensemble.manifest import MANIFEST
from medray.runs import RunDir
from medray.storage import Folder

BEGUN, PREDICTIONS, SCORES = "begun.json", "test_predictions.npz", "scores.json"
PREFIX = "reading_"


@dataclass(frozen=True)
class Reading:
    """One reading of the test split, from 1."""

    number: int
    folder: Folder

    def begin(self, ensemble: str, data: str) -> None:
        """Note that the test split is about to be read."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        facts = {"reading": self.number, "time": now, "ensemble": ensemble, "data": data, "medray": __version__}
        self.folder.write_json(BEGUN, facts)

    def begun(self) -> dict[str, Any]:
        """When it was begun, and with what."""
        facts: dict[str, Any] = self.folder.read_json(BEGUN)
        return facts

    def write(self, scores: dict[str, Any], labels: Array, predictions: dict[str, Array]) -> None:
        """Write the answer: predictions by the name of the model, then all figures."""
        stream = io.BytesIO()
        arrays = {f"model_{i}": probabilities for i, probabilities in enumerate(predictions.values())}
        np.savez(stream, labels=labels, models=np.array(list(predictions)), **arrays)  # type: ignore[arg-type]
        self.folder.write(PREDICTIONS, stream.getvalue())
        self.folder.write_json(SCORES, scores)

    def scores(self) -> dict[str, Any] | None:
        """All figures; None where the reading broke off."""
        if not self.folder.exists(SCORES):
            return None
        found: dict[str, Any] = self.folder.read_json(SCORES)
        return found


def readings(run: RunDir) -> list[Reading]:
    """All readings of a run's test split, the first one first."""
    names = [name for name in run.evaluation.names() if name.startswith(PREFIX)]
    found = [Reading(int(name.removeprefix(PREFIX)), run.evaluation.child(name)) for name in names]
    return [reading for reading in found if reading.folder.exists(BEGUN)]


def next_reading(run: RunDir) -> Reading:
    """A new reading."""
    number = max((reading.number for reading in readings(run)), default=0) + 1
    return Reading(number, run.evaluation.child(f"{PREFIX}{number:04d}"))


def ensemble_fingerprint(run: RunDir) -> str:
    """SHA-256 of the ensemble's manifest, which names its members by theirs."""
    return hashlib.sha256(run.ensemble.read(MANIFEST)).hexdigest()
