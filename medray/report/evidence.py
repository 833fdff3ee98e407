"""All that a report is drawn from: the run's files, each read once, when it is first needed.

Reading a damaged file raises RunError each time; a missing one is None.
"""

import shlex
from functools import cached_property
from typing import TYPE_CHECKING, Any

from medray.analyze.frames import epochs_frame, trials_frame
from medray.analyze.open_runs import RunSnapshot
from medray.analyze.summary import Summary, rows_of
from medray.ensemble.manifest import Manifest, read_manifest
from medray.evaluate.external.external_reads import external_reads, times_read
from medray.evaluate.external.run_external import ExternalEvaluation
from medray.evaluate.published_scores import PublishedComparison, compare_published
from medray.evaluate.read_count import ReadCount, count_reads
from medray.evaluate.scores_document import ReadScores
from medray.evaluate.test_reads import TestRead, ensemble_fingerprint, stored_reads
from medray.report.image_album import Album
from medray.report.model_predictions import ModelPredictions, selection_predictions, stored_predictions
from medray.runs.crossval_documents import CrossvalPlan
from medray.runs.finished_search import FinishedSearch
from medray.runs.fold_results import CrossvalTrial, read_crossval_trials
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import MANIFEST
from medray.runs.selection_facts import SelectionComparison
from medray.tasks import SEVERAL, SINGLE, TASKS, Task

if TYPE_CHECKING:
    import pandas as pd


class Evidence:
    """The contents of one run's files; `album` has its images, or the reason why it has none."""

    def __init__(self, snapshot: RunSnapshot, summary: Summary, album: Album) -> None:
        self.snapshot, self.run, self.summary, self.album = snapshot, snapshot.run, summary, album
        self.metric = snapshot.metric

    @property
    def task(self) -> Task:
        """The task of the run's search space."""
        return TASKS[self.run.read_space().task]

    @property
    def label_sets(self) -> bool:
        """Whether an image may have several labels; not so where the search space can't be read."""
        return self.snapshot.space is not None and TASKS[self.snapshot.space.task].label_sets

    @property
    def noun(self) -> str:
        """What a class is called."""
        return (SEVERAL if self.label_sets else SINGLE).noun

    @property
    def nouns(self) -> str:
        """What the classes are called."""
        return (SEVERAL if self.label_sets else SINGLE).nouns

    def command(self, name: str) -> str:
        """Return the command `medray NAME` on this run."""
        return f"medray {name} {shlex.quote(self.run.location)}"

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """The frame of trials; see docs/analysis.md."""
        return trials_frame([self.snapshot])

    @cached_property
    def trial_rows(self) -> list[dict[str, Any]]:
        """The rows of the frame of trials."""
        return rows_of(self.trials)

    @cached_property
    def epoch_rows(self) -> list[dict[str, Any]]:
        """The rows of the frame of epochs."""
        return rows_of(epochs_frame([self.snapshot]))

    @cached_property
    def data(self) -> DataFacts:
        """The data.json."""
        return self.run.read_data()

    @cached_property
    def manifest(self) -> Manifest | None:
        """The ensemble's manifest."""
        return read_manifest(self.run.ensemble) if self.run.ensemble.exists(MANIFEST) else None

    @cached_property
    def selections(self) -> SelectionComparison | None:
        """The selections of members that were compared."""
        return self.run.read_selections()

    @cached_property
    def predictions(self) -> ModelPredictions | None:
        """The ensemble's predictions of the images that it was selected on, or the best trial's."""
        return selection_predictions(self.snapshot, self.manifest, self.crossval_trials)

    # -- folds

    @cached_property
    def crossval_trials(self) -> list[CrossvalTrial]:
        """The settings whose cross-validation is finished, best first."""
        return read_crossval_trials(self.run, self.data.cases)

    @cached_property
    def plan(self) -> CrossvalPlan | None:
        """The plan of the cross-validation."""
        crossval = self.run.crossval
        return crossval.read_plan() if crossval.exists(crossval.PLAN) else None

    @cached_property
    def label_issues(self) -> bytes | None:
        """The CSV table of label issues that the folds have found."""
        crossval = self.run.crossval
        return crossval.read(crossval.ISSUES) if crossval.exists(crossval.ISSUES) else None

    # -- the test split, as the evaluation has stored it

    @cached_property
    def reads(self) -> list[TestRead]:
        """This run's reads of the test split."""
        return stored_reads(self.run)

    @cached_property
    def read_count(self) -> ReadCount:
        """The reads of the same test split by this run and by others that are known here."""
        return count_reads(self.run)

    @cached_property
    def _read_and_scores(self) -> tuple[TestRead, ReadScores] | None:
        """The last finished read for the present ensemble, or else the last finished one."""
        finished = [(read, scores) for read in reversed(self.reads) if (scores := read.scores()) is not None]
        current = [pair for pair in finished if pair[1].ensemble == self._fingerprint]
        return next(iter([*current, *finished]), None)

    @property
    def scores(self) -> ReadScores | None:
        """The scores of that read."""
        return self._read_and_scores[1] if self._read_and_scores else None

    @property
    def is_current(self) -> bool:
        """Whether the scores are of the ensemble that the run has now."""
        return self.scores is not None and self.scores.ensemble == self._fingerprint

    @cached_property
    def _fingerprint(self) -> str | None:
        return ensemble_fingerprint(self.run) if self.run.ensemble.exists(MANIFEST) else None

    @cached_property
    def external_evaluations(self) -> list[ExternalEvaluation]:
        """The last finished reading of each set of other images by the present ensemble, in their order."""
        last = {}
        for read in external_reads(self.run):
            scores = read.scores()
            if scores is not None and scores.ensemble == self._fingerprint:
                last[scores.test] = (read, scores)
        internal = self.scores if self.is_current else None
        return [
            ExternalEvaluation(self.run, scores, read, True, *times_read(self.run, content), internal)
            for content, (read, scores) in last.items()
        ]

    @cached_property
    def test_predictions(self) -> ModelPredictions | None:
        """The ensemble's predictions of the test images."""
        if self._read_and_scores is None:
            return None
        read, scores = self._read_and_scores
        return stored_predictions(read, by_case=scores.cases is not None)

    @cached_property
    def published(self) -> PublishedComparison | None:
        """The comparison with the report that the search space names."""
        snapshot = self.snapshot
        if self._read_and_scores is None or snapshot.space is None or snapshot.space.published is None:
            return None
        search = FinishedSearch(self.run, snapshot.space, snapshot.facts.options, self.data, snapshot.records)
        return compare_published(search, self._read_and_scores[0])
