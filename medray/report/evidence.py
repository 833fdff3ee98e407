"""All that a report is drawn from: the run's files, each read once, when something needs it.

A file that is damaged raises RunError wherever it is needed; one that is not there is None.
"""

import shlex
from functools import cached_property
from typing import TYPE_CHECKING, Any

from medray.analyze.frames import epochs_frame, trials_frame
from medray.analyze.open_runs import SeenRun
from medray.analyze.summary import Summary, rows_of
from medray.config import METRICS
from medray.ensemble.manifest import MANIFEST, read_manifest
from medray.errors import RunError
from medray.evaluate.published_scores import beside
from medray.evaluate.test_reads import Reading, ensemble_fingerprint, readings
from medray.report.answers import Answers, own_answers, stored_answers
from medray.report.image_album import Album
from medray.runs.finished_search import SearchedRun
from medray.runs.fold_results import ISSUES, PLAN, SUMMARY, FoldedSetting, read_settings

if TYPE_CHECKING:
    import pandas as pd

DATA_KEYS = ("source", "fingerprint", "images", "shape", "class_names", "splits", "notes")


class Evidence:
    """What is known of one run; `album` has its images, or says why not."""

    def __init__(self, seen: SeenRun, summary: Summary, album: Album) -> None:
        self.seen, self.run, self.summary, self.album = seen, seen.run, summary, album
        self.metric = seen.metric

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """The frame of trials; see docs/analysis.md."""
        return trials_frame([self.seen])

    @cached_property
    def trial_rows(self) -> list[dict[str, Any]]:
        """Its rows as plain values."""
        return rows_of(self.trials)

    @cached_property
    def epoch_rows(self) -> list[dict[str, Any]]:
        """The rows of the frame of epochs."""
        return rows_of(epochs_frame([self.seen]))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The run.json."""
        found: dict[str, Any] = self.run.read_json(self.run.RUN)
        return found

    @cached_property
    def data(self) -> dict[str, Any]:
        """The data.json."""
        found = self.run.read_json(self.run.DATA)
        if lacking := [key for key in DATA_KEYS if not isinstance(found, dict) or key not in found]:
            raise RunError(f"{self.run.path(self.run.DATA)} is damaged: it has no '{lacking[0]}'")
        return dict(found)

    @cached_property
    def classes(self) -> list[str]:
        """The classes' names."""
        return [str(name) for name in self.data["class_names"]]

    @cached_property
    def manifest(self) -> dict[str, Any] | None:
        """The ensemble's manifest."""
        return read_manifest(self.run.ensemble) if self.run.ensemble.exists(MANIFEST) else None

    @cached_property
    def ways(self) -> dict[str, Any] | None:
        """The ways of choosing members."""
        return self.run.read_json(self.run.WAYS) if self.run.exists(self.run.WAYS) else None

    # -- folds

    @cached_property
    def settings(self) -> list[FoldedSetting]:
        """The cross-validated settings that are whole, best first."""
        return read_settings(self.run)

    @cached_property
    def plan(self) -> dict[str, Any] | None:
        """What was to be cross-validated."""
        return self.run.crossval.read_json(PLAN) if self.run.crossval.exists(PLAN) else None

    def fold_summary(self, number: int) -> dict[str, Any]:
        """The summary.json of a cross-validated setting."""
        found: dict[str, Any] = self.run.crossval.child(f"{number:04d}").read_json(SUMMARY)
        return found

    @cached_property
    def doubted(self) -> bytes | None:
        """The table of labels that the folds doubt, as CSV."""
        return self.run.crossval.read(ISSUES) if self.run.crossval.exists(ISSUES) else None

    @cached_property
    def own(self) -> Answers | None:
        """What the ensemble says of the images that it was chosen on."""
        return own_answers(self.seen, self.manifest, self.settings)

    # -- the test split, as the evaluation has stored it

    @cached_property
    def readings(self) -> list[Reading]:
        """Every time that the test split was read."""
        return readings(self.run)

    @cached_property
    def reading(self) -> Reading | None:
        """The last whole reading of the present ensemble, or else the last whole one."""
        whole = [(own, scores) for own in reversed(self.readings) if (scores := own.scores()) is not None]
        now = self._fingerprint if whole else None
        return next((own for own, scores in whole if scores["ensemble"] == now), whole[0][0] if whole else None)

    @cached_property
    def scores(self) -> dict[str, Any] | None:
        """The figures of that reading."""
        return self.reading.scores() if self.reading else None

    @property
    def is_current(self) -> bool:
        """Whether the figures are of the ensemble that the run has now."""
        return self.scores is not None and self.scores["ensemble"] == self._fingerprint

    @cached_property
    def _fingerprint(self) -> str | None:
        return ensemble_fingerprint(self.run) if self.run.ensemble.exists(MANIFEST) else None

    @cached_property
    def tested(self) -> Answers | None:
        """What the ensemble said of the test images."""
        return stored_answers(self.reading) if self.reading else None

    @cached_property
    def published(self) -> dict[str, Any] | None:
        """A report's figures beside ours."""
        space = self.seen.space
        if self.reading is None or space is None or space.published is None:
            return None
        searched = SearchedRun(self.run, space, self.seen.options, self.data, self.seen.records)
        return beside(searched, self.reading)

    # -- in words

    @property
    def better(self) -> str:
        """Which way the run's metric is better."""
        return "higher" if METRICS[self.metric] == "max" else "lower"

    def command(self, name: str) -> str:
        """A command of medray on this run."""
        return f"medray {name} {shlex.quote(self.run.location)}"
