"""What a search runs before anything is drawn: baselines, the portfolio, the best settings of earlier runs."""

import math

import optuna

from medray.runs.run_facts import ResolvedOptions
from medray.runs.warm_starts import WarmStart
from medray.space.search_space import SearchSpace

BASELINE, PORTFOLIO, WARM_START = "baseline", "portfolio", "warm_start"
QUEUED = {BASELINE, PORTFOLIO, WARM_START}  # user attributes of trials whose settings Optuna did not draw


def enqueue_baselines(study: optuna.Study, space: SearchSpace, options: ResolvedOptions) -> None:
    """Enqueue the baselines that are not in the study yet, before everything that will be drawn.

    They take at most half of the trials, unless only they are to be run or time alone bounds the search.
    """
    most = None if options.baselines_only or options.trials is None else options.trials // 2
    present = {trial.user_attrs.get(BASELINE) for trial in study.get_trials(deepcopy=False)}
    for name in list(space.baselines)[:most]:
        if name in present:  # of an earlier driver, which may have been killed between two of them
            continue
        study.enqueue_trial(space.baseline_draw(name), user_attrs={BASELINE: name})


def enqueue_portfolio(study: optuna.Study, space: SearchSpace, options: ResolvedOptions) -> None:
    """Enqueue the settings of the portfolio that are not in the study yet, on at most half of what is left."""
    if options.baselines_only:
        return
    trials = study.get_trials(deepcopy=False)
    present = {trial.user_attrs.get(PORTFOLIO) for trial in trials}
    baselines = sum(BASELINE in trial.user_attrs for trial in trials)
    most = None if options.trials is None else max(0, options.trials - baselines) // 2
    for name in list(space.portfolio)[:most]:
        if name not in present:
            study.enqueue_trial(space.draw_of(space.portfolio[name]), user_attrs={PORTFOLIO: name})


def enqueue_warm_starts(study: optuna.Study, warm_start: WarmStart, options: ResolvedOptions) -> None:
    """Enqueue the best settings of earlier runs that are not in the study yet, on at most half of what is left.

    Settings that a baseline or another earlier run has too are enqueued once.
    """
    trials = study.get_trials(deepcopy=False)
    present = [trial.system_attrs.get("fixed_params", trial.params) for trial in trials]
    enqueued = sum(WARM_START in trial.user_attrs for trial in trials)
    before = sum(bool({BASELINE, PORTFOLIO} & trial.user_attrs.keys()) for trial in trials)
    most = math.inf if options.trials is None else max(0, options.trials - before) // 2
    for run, earlier in warm_start.in_turn():
        if enqueued >= most:
            break
        if earlier.params not in present:
            study.enqueue_trial(earlier.params, user_attrs={WARM_START: f"{run.run} trial {earlier.number}"})
            enqueued += 1
