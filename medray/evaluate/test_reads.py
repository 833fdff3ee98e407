"""The store of the test split's answers: each time it was read, and what it said.

    evaluation/reading_0001/begun.json              when, for which ensemble and data; before any figure
    evaluation/reading_0001/train_predictions.npz   of the baselines, where a report has figures on train
    evaluation/reading_0001/test_predictions.npz    probabilities of every model
    evaluation/reading_0001/scores.json             all figures; written last

A reading that was begun counts, whether or not it came to its end: who has seen the figures can't unsee them.
It begins when answers are about to be held against the labels; what goes wrong before that is not counted.
"""

import contextlib
import datetime
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray import __version__
from medray._types import Array
from medray.ensemble.manifest import MANIFEST
from medray.errors import RunError
from medray.runs.folder import Folder, read_arrays
from medray.runs.rundir import RunDir

BEGUN, SCORES = "begun.json", "scores.json"
TEST = "test"
PREFIX = "reading_"
#: What both files hold, and what only the figures do.
FACTS = ("reading", "time", "ensemble", "data")
FIGURES = (
    "seed", "metric", "images", "patients", "class_names", "resamples", "models", "comparisons",
    "confusion_matrix", "per_class", "operating_points", "conformal_sets", "subgroups",
)  # fmt: skip


@contextlib.contextmanager
def undamaged(name: str) -> Iterator[None]:
    """Turn what comes of a file of another form into one line that names the file."""
    try:
        yield
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise RunError(f"{name} is damaged: {error!r}") from None


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
        """When it was begun, and with what.

        Raises:
            RunError: the file is damaged.
        """
        return self._content(BEGUN, FACTS)

    def write(self, scores: dict[str, Any], labels: Array, predictions: dict[str, Array]) -> None:
        """Write the answer: predictions by the name of the model, then all figures."""
        self.write_predictions(TEST, labels, predictions)
        self.folder.write_json(SCORES, scores)

    def write_predictions(self, split: str, labels: Array, predictions: dict[str, Array]) -> None:
        """Write probabilities (n, classes) by the name of the model, and labels (n,), of a split."""
        stream = io.BytesIO()
        arrays = {f"model_{i}": probabilities for i, probabilities in enumerate(predictions.values())}
        np.savez(stream, labels=labels, models=np.array(list(predictions)), **arrays)  # type: ignore[arg-type]
        self.folder.write(_predictions(split), stream.getvalue())

    def scores(self) -> dict[str, Any] | None:
        """All figures; None where the reading broke off.

        Raises:
            RunError: the file is damaged.
        """
        return self._content(SCORES, FACTS + FIGURES) if self.folder.exists(SCORES) else None

    def has(self, split: str) -> bool:
        """Whether predictions of the split were written."""
        return self.folder.exists(_predictions(split))

    def predictions(self, split: str = TEST) -> tuple[dict[str, Array], Array]:
        """Probabilities float32 (n, classes) by the name of the model, and labels int64 (n,).

        Raises:
            RunError: the file is missing or damaged.
        """
        models, labels = read_arrays(self.folder, _predictions(split), "models", "labels")
        names = [str(name) for name in models]
        arrays = read_arrays(self.folder, _predictions(split), *(f"model_{i}" for i in range(len(names))))
        return dict(zip(names, arrays, strict=True)), labels

    def _content(self, name: str, wanted: tuple[str, ...]) -> dict[str, Any]:
        content = self.folder.read_json(name)
        if not isinstance(content, dict):
            raise RunError(f"{self.folder.path(name)} is damaged: it holds no mapping")
        if missing := [key for key in wanted if key not in content]:
            raise RunError(f"{self.folder.path(name)} is damaged: it lacks {', '.join(missing)}")
        return content


def _predictions(split: str) -> str:
    return f"{split}_predictions.npz"


def readings(run: RunDir) -> list[Reading]:
    """All readings of a run's test split, the first one first."""
    matches = [re.fullmatch(rf"{PREFIX}(\d+)", name) for name in run.evaluation.names()]
    found = [Reading(int(match[1]), run.evaluation.child(match[0])) for match in matches if match]
    return sorted((own for own in found if own.folder.exists(BEGUN)), key=lambda own: own.number)


def next_reading(run: RunDir) -> Reading:
    """A new reading."""
    number = max((reading.number for reading in readings(run)), default=0) + 1
    return Reading(number, run.evaluation.child(f"{PREFIX}{number:04d}"))


def ensemble_fingerprint(run: RunDir) -> str:
    """SHA-256 of the ensemble's manifest, which names its members by theirs.

    Raises:
        RunError: the run has no ensemble.
    """
    if not run.ensemble.exists(MANIFEST):
        raise RunError(f"{run.location} has no ensemble; first: python -m medray.ensemble {run.location}")
    return hashlib.sha256(run.ensemble.read(MANIFEST)).hexdigest()
