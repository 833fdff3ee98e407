"""The readings of other images that a run stores, apart from those of its test split, and how often each was read.

    evaluation/external/0001/begun.json          when, which images, for which ensemble; before any score
    evaluation/external/0001/predictions.npz     the ensemble's probabilities, in the order of the images' content
    evaluation/external/0001/scores.json         all figures; written last

A reading counts once it has begun. This machine's registry of reads knows it by the content of the images.
"""

import datetime
import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medray import __version__
from medray._types import Array
from medray.errors import RunError
from medray.evaluate.external.class_map import MappedClass
from medray.evaluate.external.documents import ExternalFacts, ExternalScores
from medray.evaluate.read_registry import registered
from medray.evaluate.test_reads import BEGUN, SCORES
from medray.runs.folder import Folder
from medray.runs.rundir import RunDir

EXTERNAL, PREDICTIONS = "external", "predictions.npz"


@dataclass(frozen=True)
class ExternalRead:
    """One reading of other images: its number, from 1, and its folder."""

    number: int
    folder: Folder

    def begin(self, digests: tuple[str, str, str], source: str, classes: tuple[MappedClass, ...]) -> ExternalFacts:
        """Write begun.json, from which on the reading counts; `digests` are of ensemble, data set and images."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        facts = ExternalFacts(self.number, now, *digests, __version__, uuid.uuid4().hex, source, classes)
        self.folder.write_json(BEGUN, facts.to_dict())
        return facts

    def facts(self) -> ExternalFacts:
        """Return begun.json; RunError where it is damaged."""
        return self.folder.read_document(BEGUN, ExternalFacts)

    def write(self, scores: ExternalScores, probabilities: Array, labels: Array) -> None:
        """Write the probabilities (n, classes) and labels (n,), then all figures."""
        stream = io.BytesIO()
        np.savez(stream, probabilities=probabilities, labels=labels)
        self.folder.write(PREDICTIONS, stream.getvalue())
        self.folder.write_json(SCORES, scores.to_dict())

    def scores(self) -> ExternalScores | None:
        """Return all figures, None where the reading was interrupted; RunError where the file is damaged."""
        return self.folder.read_document(SCORES, ExternalScores) if self.folder.exists(SCORES) else None


def external_reads(run: RunDir) -> list[ExternalRead]:
    """Return all readings of other images that a run has begun, in their order."""
    folder = run.evaluation.child(EXTERNAL)
    reads = [ExternalRead(int(name), folder.child(name)) for name in folder.names() if name.isdecimal()]
    return sorted((read for read in reads if read.folder.exists(BEGUN)), key=lambda read: read.number)


def new_external_read(run: RunDir) -> ExternalRead:
    """Return a reading with the next number, which has not begun."""
    number = max((read.number for read in external_reads(run)), default=0) + 1
    return ExternalRead(number, run.evaluation.child(EXTERNAL, f"{number:04d}"))


def stored_external(
    run: RunDir, digests: tuple[str, str, str], class_map: Mapping[str, str | None], seed: int
) -> tuple[ExternalRead, ExternalScores] | None:
    """Return the last finished reading of the same ensemble, data set and images, classes and seed, or None.

    `digests` are those that the reading began with: other labels or patients of the same images are another data
    set, and are read again.
    """
    for read in reversed(external_reads(run)):
        scores = read.scores()
        if scores is None or (scores.ensemble, scores.data, scores.test, scores.seed) != (*digests, seed):
            continue
        if {row.theirs: row.ours for row in scores.classes} == dict(class_map):
            return read, scores
    return None


def times_read(run: RunDir, content: str) -> tuple[int, int]:
    """Return how often images of this content were read, by this run and by others that this machine knows of."""
    uuids = set()
    for read in external_reads(run):
        try:
            facts = read.facts()
        except RunError:
            continue
        if facts.test == content:
            uuids.add(facts.uuid)
    return len(uuids), len(set(registered(content)) - uuids)
