"""FinishedSearch: a run whose search has finished, as cross-validation, ensemble and evaluation start from it."""

import shlex
from dataclasses import dataclass

from medray._types import Progress, silent
from medray.data.dataset import ImageDataset
from medray.errors import DataError, RunError, nearest
from medray.runs.folder import locate
from medray.runs.run_data import load_run_data
from medray.runs.run_facts import DataFacts, ResolvedOptions
from medray.runs.rundir import RunDir
from medray.runs.trial_record import TrialRecord
from medray.space.search_space import SearchSpace


@dataclass(frozen=True)
class FinishedSearch:
    """A run's folder with its search space, the options of its search and the records of its ended trials."""

    run: RunDir
    space: SearchSpace
    options: ResolvedOptions
    data: DataFacts
    records: list[TrialRecord]

    def is_baseline(self, number: int) -> bool:
        """Return whether a trial was one of the search space's baselines."""
        return any(record.number == number and record.baseline is not None for record in self.records)

    def load_data(self, source: str | None = None, progress: Progress = silent) -> ImageDataset:
        """Load the run's data, from `source` where the files have moved.

        Raises:
            DataError: it can't be loaded, or its content differs from what the search saw.
        """
        source = source or self.options.data
        dataset = load_run_data(source, self.space, progress)
        if dataset.fingerprint != self.data.fingerprint:
            raise DataError(f"{source} is not the data of {self.run.location}: its content differs")
        return dataset


def open_finished_search(location: str) -> FinishedSearch:
    """Open the run at `location`, whose search must have finished.

    Raises:
        RunError: there is no run, it is damaged, or its search has trials left.
    """
    run = find_run(location)
    options, data = run.read_facts().options, run.read_data()
    space = run.read_space().without(options.without)
    records = list(run.records())
    if not run.read_state().ended_by and (options.trials is None or len(records) < options.trials):
        command = f"medray search {space.name} --resume --out {shlex.quote(location)}"
        left = (
            f"its {options.hours:g} hours are not over"
            if options.trials is None
            else f"{options.trials - len(records)} of {options.trials} trials are left"
        )
        raise RunError(
            f"the search in {location} has not finished: {left}: go on by `{command}`, or end it with the trials "
            f"there are by adding --trials {max(1, len(records))}"
        )
    return FinishedSearch(run, space, options, data, records)


def find_run(location: str) -> RunDir:
    """Return the folder of the run at `location`, a path or a URI; its search may still be running.

    Raises:
        RunError: there is no run, or it can't be reached.
    """
    location = locate(location)
    run = RunDir(location)
    if not run.begun():
        hint = ""
        if run.local is not None and run.local.parent.is_dir():
            runs = sorted(path.name for path in run.local.parent.iterdir() if (path / run.RUN).is_file())
            hint = nearest(run.local.name, runs) or (f"; runs there: {', '.join(runs)}" if runs else "")
        raise RunError(f"{location} is no run of medray: it has no {run.RUN}{hint}")
    return run
