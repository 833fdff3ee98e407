"""Open runs that are finished, running or interrupted; what can't be read is a note and no error."""

from dataclasses import dataclass, field

from medray._types import Progress, silent
from medray.analyze.journal import baselines_of
from medray.analyze.read_training import RUNNING, Training, read_training
from medray.errors import MedrayError, RunError, one_line
from medray.runs.finished_search import find_run
from medray.runs.run_facts import RunFacts
from medray.runs.rundir import RunDir
from medray.runs.trial_record import STATES as END_STATES
from medray.runs.trial_record import TrialRecord
from medray.space.search_space import SearchSpace

STATES = (*END_STATES, RUNNING)


@dataclass(frozen=True)
class RunSnapshot:
    """The contents of a run's small files at one moment; `name` is unique among the runs opened together.

    `class_names` and `fingerprint` are those of its data. `notes` has one line for each thing that could not be
    read and was left out.
    """

    name: str
    run: RunDir
    facts: RunFacts
    space: SearchSpace | None
    class_names: tuple[str, ...] | None
    fingerprint: str | None
    trials: list[Training]
    folds: list[Training]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, run: RunDir, name: str, progress: Progress = silent) -> "RunSnapshot":
        """Read the small files of a run.

        Raises:
            RunError: its run.json is missing or damaged.
        """
        facts = run.read_facts()
        notes: list[str] = []
        numbers, baselines = run.trial_numbers(), baselines_of(run)
        trials = []
        for done, number in enumerate(numbers):
            progress(f"{name}: trials", done, len(numbers))
            trials.append(read_training(run.trial(number), number, None, baselines.get(number), notes))
        of_trial = {trial.record.number: trial.record.baseline for trial in trials}
        folds = [
            read_training(run.fold(number, fold), number, fold, of_trial.get(number), notes)
            for number, fold in run.crossval.trained_folds()
        ]
        space = data = None
        try:
            space = run.read_space()
        except MedrayError as error:
            notes.append(f"the search space can't be read: {one_line(error)}")
        try:
            data = run.read_data()
        except (RunError, OSError) as error:
            notes.append(f"{run.path(run.DATA)} can't be read, classes are numbered: {one_line(error)}")
        names, fingerprint = (data.class_names, data.fingerprint) if data else (None, None)
        return cls(name, run, facts, space, names, fingerprint, trials, folds, notes)

    @property
    def metric(self) -> str:
        """The metric of the search."""
        return self.facts.metric

    @property
    def mode(self) -> str:
        """`max` or `min`: which way the run's metric is better."""
        return self.facts.mode

    @property
    def records(self) -> list[TrialRecord]:
        """The records of all trials; those of running trials are as of their last epoch."""
        return [trial.record for trial in self.trials]


def open_runs(locations: list[str], progress: Progress = silent) -> list[RunSnapshot]:
    """Read the runs at `locations`, paths or URIs.

    Raises:
        RunError: one of them is no run, is named twice, or its run.json is damaged.
    """
    runs = [find_run(location) for location in locations]
    repeated = [run.location for i, run in enumerate(runs) if run in runs[:i]]
    if repeated:
        raise RunError(f"{repeated[0]} is named twice")
    snapshots = []
    for run, name in zip(runs, _unique_names(runs), strict=True):
        try:
            snapshots.append(RunSnapshot.read(run, name, progress))
        except OSError as error:
            raise RunError(f"{run.location} can't be read: {one_line(error)}") from None
    return snapshots


def _unique_names(runs: list[RunDir]) -> list[str]:
    """Return the folders' names, with as many of the folders above as are needed to tell them apart."""
    parts = [run.path("").rstrip("/").split("/") for run in runs]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [run.location for run in runs]
