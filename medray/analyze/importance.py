"""Importance of the searched settings: functional ANOVA (Hutter et al. 2014), by Optuna, with its spread.

fANOVA fits a forest to settings and objectives of finished trials, and gives the share of the forest's variance
that each setting explains alone. The forest is fitted to resamples of the trials, each with its own seed: the mean
over them is the importance, the middle 80 % of them its interval. A conditional setting, such as `momentum` under
sgd, is measured among the trials that have it. Whether the trials can tell at all is a permutation test's to say
(`main_effect_p`), as a forest finds importance in noise, too.

PED-ANOVA (Watanabe et al. 2023) finds less in the trials of a search, most of which lie near the best ones
(benchmarks/importance.py).

Trials that were stopped are left out and counted: an objective after fewer epochs can't be compared.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medray._types import Progress, silent
from medray.analyze.main_effects import main_effect_p
from medray.space.search_space import Parameter, SearchSpace
from medray.text import plural

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

FEWEST = 10  # finished trials: fewer are too few for a forest
RESAMPLES, TREES = 16, 4
LARGEST = 200  # trials in a resample: its time grows with them
LOW, HIGH = 10, 90  # percentiles of the interval
CLEAR = 0.03  # highest p: TPE draws by the objectives before, which makes one below 0.05 a little too frequent


@dataclass(frozen=True)
class Importance:
    """One parameter: the share of the variance that it explains, from 0 to 1, and the interval of that share.

    `among` is the number of finished trials that have it, `when` the settings under which it exists. `value`,
    `low` and `high` are None where it has fewer than `FEWEST` trials. `p` is the chance that noise alone has any
    setting explain the objective as well, None where it can't be tested.
    """

    parameter: str
    when: str
    among: int
    value: float | None
    low: float | None
    high: float | None
    p: float | None

    @property
    def clear(self) -> bool:
        """Whether the trials tell that the parameter matters."""
        return self.p is not None and self.p <= CLEAR


@dataclass(frozen=True)
class Importances:
    """All parameters, the most important first; `why_not` is the reason where there are none.

    They are of `finished` trials; `stopped` more, which ASHA stopped, are left out.
    """

    finished: int
    stopped: int = 0
    rows: tuple[Importance, ...] = ()
    why_not: str | None = None

    @property
    def any_clear(self) -> bool:
        """Whether the trials tell of any parameter that it matters."""
        return any(row.clear for row in self.rows)

    @property
    def left_out(self) -> str:
        """Which trials are left out, in words; empty where none is."""
        if not self.stopped:
            return ""
        return f"{plural(self.stopped, 'trial')} stopped early left out: an objective after fewer epochs"


def importances(
    study: "optuna.Study",
    space: SearchSpace | None = None,
    progress: Progress = silent,
    *,
    resamples: int = RESAMPLES,
) -> Importances:
    """Return the importance of a study's parameters; `space` has the conditions under which they exist."""
    import numpy as np
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState

    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    trials = [t for t in ended if t.params and t.value is not None]  # a compare_only baseline draws nothing
    stopped = sum(bool(t.params) for t in study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    if len(trials) < FEWEST:
        few = f"{len(trials)} finished trial{'' if len(trials) == 1 else 's'}"
        return Importances(len(trials), stopped, why_not=f"{few}: at least {FEWEST} are needed")
    if len({t.value for t in trials}) == 1:
        return Importances(len(trials), stopped, why_not="all finished trials have the same objective")
    names = list(dict.fromkeys(name for t in trials for name in t.params))
    always = [name for name in names if all(name in t.params for t in trials)]
    groups = [always, *([*always, name] for name in names if name not in always)]
    known = {p.label: p for p in space.parameters} if space else {}
    categorical = {
        name for t in trials for name, d in t.distributions.items() if isinstance(d, CategoricalDistribution)
    }
    p = main_effect_p(
        {name: {row: t.params[name] for row, t in enumerate(trials) if name in t.params} for name in names},
        np.array([t.value for t in trials]),
        frozenset(categorical),
        FEWEST,
    )
    rows: list[Importance] = []
    for i, group in enumerate(groups):
        progress("settings", len(rows), len(names))
        having = [t for t in trials if set(group) <= set(t.params)]
        shares = _resampled(study, having, group, resamples)
        rows += [
            _importance(name, shares, len(having), known.get(name), p[name])
            for name in (always if i == 0 else group[-1:])
        ]
    rows.sort(key=lambda row: (row.value is None, -(row.value or 0.0)))
    return Importances(len(trials), stopped, tuple(rows))


def _importance(
    name: str, shares: list[dict[str, float]], among: int, parameter: Parameter | None, p: float | None
) -> Importance:
    import numpy as np

    when = parameter.when if parameter else {}
    under = ", ".join(f"{parent}={'|'.join(map(str, values))}" for parent, values in when.items())
    if not shares:
        return Importance(name, under, among, None, None, None, p)
    values = [share[name] for share in shares]
    low, high = np.percentile(values, [LOW, HIGH])
    return Importance(name, under, among, float(np.mean(values)), float(low), float(high), p)


def _resampled(
    study: "optuna.Study", trials: Sequence["FrozenTrial"], names: list[str], resamples: int
) -> list[dict[str, float]]:
    """Return the importances by each resample whose objectives differ; none for too few trials."""
    import numpy as np
    import optuna

    if len(trials) < FEWEST or not names:
        return []
    shares, size = [], min(len(trials), LARGEST)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would log the study of each resample
    try:
        for seed in range(resamples):
            drawn = np.random.default_rng([len(trials), seed]).integers(len(trials), size=size)
            share = _evaluate(study, [trials[i] for i in drawn], names, seed)
            if share is not None:
                shares.append(share)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return shares


def _evaluate(
    study: "optuna.Study", trials: list["FrozenTrial"], names: list[str], seed: int
) -> dict[str, float] | None:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator

    if len({t.value for t in trials}) == 1:
        return None
    sample = optuna.create_study(direction=study.direction)
    for t in trials:
        sample.add_trial(
            optuna.trial.create_trial(
                value=t.value,
                params={name: t.params[name] for name in names},
                distributions={name: t.distributions[name] for name in names},
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a baseline may lie beside a range's step
        try:
            shares = FanovaImportanceEvaluator(n_trees=TREES, seed=seed).evaluate(sample, params=names)
        except RuntimeError:  # no tree has found any variance
            return None
    return {name: float(value) for name, value in shares.items()}
