"""What the steps of a study share: its options, space and run, and the time that is used."""

import time
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console

from medray.errors import RunError
from medray.runs.finished_search import FinishedSearch, open_finished_search
from medray.runs.rundir import RunDir
from medray.search.open_run import run_dir
from medray.search.search_options import SearchOptions
from medray.space.loading import load_space
from medray.space.search_space import SearchSpace
from medray.study.steps.study_options import StudyOptions


@dataclass
class StudyContext:
    """A study's options, the file or name of its space, the space and its run.

    `began` is when this command did, by the monotonic clock, and `searching` how many seconds of it the search
    took: the run counts those itself. `changed` says that a step of this command has left something new.
    """

    options: StudyOptions
    space_path: str
    console: Console
    began: float = field(default_factory=time.monotonic)
    searching: float = 0.0
    changed: bool = False

    def __post_init__(self) -> None:
        options = self.options
        self.space: SearchSpace = load_space(self.space_path)
        self.run: RunDir = run_dir(
            SearchOptions(self.space_path, out=options.out, storage=options.storage), self.space.name
        )

    def used(self) -> float:
        """Return the seconds that the study has used: all of its search, and what this command did beside."""
        search = self.run.read_state().seconds if self.run.begun() else 0.0
        return search + time.monotonic() - self.began - self.searching

    def searched(self) -> FinishedSearch | None:
        """Return the run if its search has finished; one that is damaged is the search's to name."""
        if not self.run.begun():
            return None
        try:
            return open_finished_search(self.run.location)
        except RunError:
            return None


class StudyStep(Protocol):
    """A step: what it has left, what it will do, and the doing of it."""

    name: str

    def done(self, study: StudyContext) -> str | None:
        """Return what the step has left where its files are complete, else None."""

    def plan(self, study: StudyContext) -> str:
        """Return what the step will do."""

    def work(self, study: StudyContext) -> str | None:
        """Do it and return what it has left; None where it was interrupted.

        Raises:
            MedrayError: something a person can mend is wrong; nothing that was done is lost.
        """
