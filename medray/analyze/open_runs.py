"""What a run's folder tells now: finished, running or broken off; what can't be read is told, not raised."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from medray._types import Progress, silent
from medray.analyze.journal import baselines_of
from medray.analyze.partial import RUNNING, Training, one_line, read_training
from medray.config import METRICS
from medray.errors import MedrayError, RunError, unknown_choice_line
from medray.runs.finished_search import find_run
from medray.runs.rundir import FAILED, FINISHED, STOPPED, RunDir, TrialRecord
from medray.space.search_space import SearchSpace

STATES = (FINISHED, STOPPED, FAILED, RUNNING)


@dataclass(frozen=True)
class SeenRun:
    """All that a run's small files tell; `name` is unique among those that were opened together.

    `fingerprint` is that of
    its data. `notes` says in one line each what could not be read and was left out.
    """

    name: str
    run: RunDir
    metric: str
    options: dict[str, Any]
    space: SearchSpace | None
    class_names: list[str] | None
    fingerprint: str | None
    trials: list[Training]
    folds: list[Training]
    notes: list[str] = field(default_factory=list)

    @property
    def mode(self) -> str:
        """`max` or `min`: which way the run's metric is better."""
        return METRICS[self.metric]

    @property
    def records(self) -> list[TrialRecord]:
        """The records of its trials, of running ones as far as they have come."""
        return [trial.record for trial in self.trials]


def open_runs(locations: list[str], progress: Progress = silent) -> list[SeenRun]:
    """Read the runs at `locations`, paths or URIs.

    Raises:
        RunError: one of them is no run, is named twice, or its run.json is damaged.
    """
    runs = [find_run(location) for location in locations]
    twice = [run.location for i, run in enumerate(runs) if run in runs[:i]]
    if twice:
        raise RunError(f"{twice[0]} is named twice")
    return [_open(run, name, progress) for run, name in zip(runs, _names(runs), strict=True)]


def _names(runs: list[RunDir]) -> list[str]:
    """The folders' own names, with as many of those above them as it takes to tell them apart."""
    parts = [run.path("").rstrip("/").split("/") for run in runs]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [run.location for run in runs]


def _open(run: RunDir, name: str, progress: Progress) -> SeenRun:
    try:
        return _read(run, name, progress)
    except OSError as error:
        raise RunError(f"{run.location} can't be read: {one_line(error)}") from None


def _read(run: RunDir, name: str, progress: Progress) -> SeenRun:
    facts = run.read_json(run.RUN)
    try:
        metric, options = facts["metric"], dict(facts["options"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.path(run.RUN)} is damaged: {error!r}") from None
    if metric not in METRICS:
        raise RunError(f"{run.path(run.RUN)} is damaged: {unknown_choice_line('metric', metric, METRICS)}")
    notes: list[str] = []
    numbers, baselines = run.trial_numbers(), baselines_of(run)
    trials = []
    for done, number in enumerate(numbers):
        progress(f"{name}: trials", done, len(numbers))
        trials.append(read_training(run.trial(number), number, None, baselines.get(number), notes))
    baseline = {trial.record.number: trial.record.baseline for trial in trials}
    folds = [read_training(run.fold(n, fold), n, fold, baseline.get(n), notes) for n, fold in _folds(run)]
    return SeenRun(name, run, metric, options, _space(run, notes), *_data(run, notes), trials, folds, notes)


def _folds(run: RunDir) -> Iterator[tuple[int, int]]:
    for home in (name for name in run.crossval.names() if name.isdecimal()):
        names = run.crossval.child(home).names()
        folds = [name.removeprefix("fold_") for name in names if name.startswith("fold_")]
        yield from ((int(home), fold) for fold in sorted(int(fold) for fold in folds if fold.isdecimal()))


def _space(run: RunDir, notes: list[str]) -> SearchSpace | None:
    from medray.space.loading import parse

    try:
        return parse(run.read(run.SPACE).decode(), run.path(run.SPACE))
    except (OSError, UnicodeDecodeError, MedrayError) as error:
        notes.append(f"the search space can't be read: {one_line(error)}")
        return None


def _data(run: RunDir, notes: list[str]) -> tuple[list[str] | None, str | None]:
    """The class names and the fingerprint of the run's data."""
    try:
        data = run.read_json(run.DATA)
        return [str(name) for name in data["class_names"]], str(data["fingerprint"])
    except (RunError, OSError, KeyError, TypeError) as error:
        notes.append(f"{run.path(run.DATA)} can't be read, classes are numbered: {one_line(error)}")
        return None, None
