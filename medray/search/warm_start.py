"""Warm start: what a search takes from earlier runs of its own or a like space.

Their best settings go first, as far as this space can draw them. Objectives are taken over only of trials that
this search could have run itself: on data with the same fingerprint (images, labels and splits) and the same
cases, with the same value of every setting but the seed. Of other data only the ranking counts, which says what
the best settings are.
"""

import json
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from medray.errors import ConfigError, RunError
from medray.runs.finished_search import find_run
from medray.runs.leaderboard import rank, usable
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.runs.warm_starts import EarlierRun, EarlierTrial, WarmStart
from medray.space.projection import project
from medray.space.search_space import Parameter, SearchSpace

BEST = 3  # of each run


def check_earlier_runs(locations: Sequence[str], space: SearchSpace) -> None:
    """Check that a search of `space` can start from the runs at these locations.

    Raises:
        RunError: one is no run, or damaged, of another task or metric, or no trial of it has an objective.
    """
    for location in locations:
        run = find_run(location)
        earlier = run.read_space()
        for name, theirs, ours in (
            ("task", earlier.task, space.task), ("metric", earlier.metric, space.metric),
        ):  # fmt: skip
            if theirs != ours:
                raise RunError(
                    f"--warm-start {location}: its {name} is {theirs}, that of {space.path} is {ours}; give "
                    f"runs of the same {name}"
                )
        if not usable(run.records()):
            raise RunError(f"--warm-start {location}: none of its trials has an objective; give another run")


def read_earlier_runs(
    locations: Sequence[str], space: SearchSpace, max_epochs: int, data: DataFacts
) -> WarmStart:  # fmt: skip
    """Return what a search of `space` on some data takes from earlier runs.

    Raises:
        RunError: a file of a run is missing or damaged.
    """
    return WarmStart(tuple(_read(find_run(location), space, max_epochs, data) for location in locations))


def _read(run: RunDir, space: SearchSpace, max_epochs: int, data: DataFacts) -> EarlierRun:
    earlier, same_data = run.read_space(), is_same_data(run.read_data(), data)
    records = list(run.records())
    best: list[EarlierTrial] = []
    known: list[EarlierTrial] = []
    skipped: list[str] = []
    for record in rank(usable(records), space.mode):
        assert record.objective is not None
        params = takeover(record, earlier, space)
        if isinstance(params, str):
            if len(best) < BEST:
                skipped.append(f"trial {record.number}: {params}")
            continue
        trial = EarlierTrial(record.number, record.objective, params)
        if len(best) < BEST and all(params != other.params for other in best):
            best.append(trial)
        if same_data and record.state == FINISHED and is_same_training(record, params, space, max_epochs):
            known.append(trial)
    return EarlierRun(run.location, same_data, len(records), tuple(best), tuple(known), tuple(skipped[:BEST]))


def is_same_data(earlier: DataFacts, data: DataFacts) -> bool:
    """Return whether objectives on validation mean the same: of the same images, answered by the same cases."""
    return (earlier.fingerprint, earlier.cases, earlier.splits) == (data.fingerprint, data.cases, data.splits)


def takeover(record: TrialRecord, earlier: SearchSpace, space: SearchSpace) -> dict[str, object] | str:
    """Return what `space` has to draw, by label, for a trial's settings of another space, or why it can't."""
    pipeline = record.settings.get("transforms", "none")
    if pipeline in space.transforms and space.transforms[pipeline] != earlier.transforms.get(pipeline):
        return f"transforms {pipeline} is another pipeline"
    return project(record.settings, space)


def is_same_training(record: TrialRecord, params: dict[str, object], space: SearchSpace, max_epochs: int) -> bool:
    """Return whether `space` gives a trial that draws `params` all settings that the record has, but the seed."""
    names = {parameter.label: parameter.name for parameter in space.parameters}
    drawn = {names[label]: value for label, value in params.items()}
    try:
        config = space.config(drawn, seed=0, max_epochs=max_epochs)
    except ConfigError:
        return False
    settings = json.loads(json.dumps(config.to_dict()))
    ignored = ("seed", "pipeline")
    return {k: v for k, v in settings.items() if k not in ignored} == {
        k: v for k, v in record.settings.items() if k not in ignored
    }


def frozen_trials(warm_start: WarmStart, space: SearchSpace) -> list[FrozenTrial]:
    """Return the known trials as Optuna has ended ones, numbered -n to -1: the study's own come after them."""
    parameters = {parameter.label: parameter for parameter in space.parameters}
    known = [trial for run in warm_start.runs for trial in run.known]
    trials = []
    for number, trial in enumerate(known, start=-len(known)):
        frozen = optuna.trial.create_trial(
            value=trial.objective,
            params=trial.params,
            distributions={label: distribution(parameters[label]) for label in trial.params},
        )
        frozen.number = number
        trials.append(frozen)
    return trials


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return the distribution that an Optuna trial notes when it draws from `parameter`."""
    if parameter.verb == "choice":
        return CategoricalDistribution(parameter.values)
    low, high = parameter.values
    if parameter.verb == "int":
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=parameter.verb == "log")
