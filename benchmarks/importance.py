"""fANOVA or PED-ANOVA? How well each finds the settings that matter, where it is known which do.

    python benchmarks/importance.py --studies 16

Six settings, drawn evenly or by medray's sampler; a trial's objective has noise of 0.3 standard deviations. Truth
is each setting's share of the variance by itself, over the whole space. fANOVA is as `medray analyze` has it, the
mean over forests of resampled trials; PED-ANOVA is Optuna's, by the best tenth, quarter or half of the trials,
against the trials as they were drawn or (space) against the whole space. For each: the rank correlation with the
truth, and how often the most important setting comes first.
"""

import time
from collections.abc import Callable

import click
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from medray._types import Array
from medray.analyze.importance import importances
from medray.search.optuna_study import SpreadTPE

SETTINGS, NOISE, RESAMPLES = 6, 0.3, 8
WEIGHTS = (16.0, 8.0, 4.0, 1.0, 0.5, 0.0)
NAMES = [f"x{i}" for i in range(SETTINGS)]
DISTRIBUTIONS = {name: FloatDistribution(0, 1) for name in NAMES}
Objective = Callable[[Array], Array]


def objective_of(kind: str, rng: np.random.Generator) -> Objective:
    """Return a function of points (n, 6): a bowl, a cliff around the best, or a peak that little else shows."""
    best, weights = rng.uniform(0.1, 0.9, SETTINGS), rng.permutation(WEIGHTS)
    shapes: dict[str, Objective] = {
        "bowl": lambda x: -np.square(x - best),
        "cliff": lambda x: -(np.abs(x - best) > 0.35).astype(float),
        "peak": lambda x: np.exp(-np.square((x - best) / 0.1)),
    }

    def objective(points: Array) -> Array:
        values: Array = (weights * shapes[kind](points)).sum(axis=-1)
        return values

    return objective


def true_shares(objective: Objective, rng: np.random.Generator) -> Array:
    """Return the share of the variance that each setting explains alone, (6,)."""
    points, grid = rng.random((2000, SETTINGS)), (np.arange(50) + 0.5) / 50
    shares = []
    for i in range(SETTINGS):
        means = []
        for value in grid:
            moved = points.copy()
            moved[:, i] = value
            means.append(objective(moved).mean())
        shares.append(np.var(means))
    result: Array = np.array(shares) / objective(points).var()
    return result


def study_of(objective: Objective, trials: int, seed: int, *, tpe: bool) -> optuna.Study:
    """Return a study of so many trials, drawn by medray's sampler or evenly."""
    rng, study = np.random.default_rng(seed), optuna.create_study(direction="maximize")
    spread = NOISE * objective(rng.random((2000, SETTINGS))).std()
    for number in range(trials):
        even = optuna.samplers.RandomSampler(seed=1000 * seed + number)
        study.sampler = SpreadTPE(seed, number, number) if tpe else even
        trial = study.ask(DISTRIBUTIONS)
        value = objective(np.array([trial.params[name] for name in NAMES])) + rng.normal(0, spread)
        study.tell(trial, float(value))
    return study


def fanova(study: optuna.Study) -> Array:
    """Return medray's importances, (6,)."""
    rows = {row.parameter: row.value or 0.0 for row in importances(study, resamples=RESAMPLES).rows}
    return np.array([rows[name] for name in NAMES])


def ped_anova(study: optuna.Study, quantile: float, *, local: bool) -> Array:
    """Return Optuna's PED-ANOVA importances, (6,)."""
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile, evaluate_on_local=local)
    shares = evaluator.evaluate(study)
    return np.array([shares[name] for name in NAMES])


METHODS: dict[str, Callable[[optuna.Study], Array]] = {
    "fANOVA": fanova,
    "PED 0.1": lambda study: ped_anova(study, 0.1, local=True),
    "PED 0.25": lambda study: ped_anova(study, 0.25, local=True),
    "PED 0.5": lambda study: ped_anova(study, 0.5, local=True),
    "PED 0.25 space": lambda study: ped_anova(study, 0.25, local=False),
}


@click.command()
@click.option("--studies", default=16)
def main(studies: int) -> None:
    """Print the table."""
    from scipy.stats import spearmanr

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{studies} studies each")
    print("| objective | drawn | trials | " + " | ".join(METHODS) + " |")
    print("|---" * (3 + len(METHODS)) + "|")
    seconds = dict.fromkeys(METHODS, 0.0)
    for kind in ("bowl", "cliff", "peak"):
        for tpe in (False, True):
            for trials in (15, 40, 120):
                scores: dict[str, list[tuple[float, bool]]] = {name: [] for name in METHODS}
                for seed in range(studies):
                    rng = np.random.default_rng([seed, trials])
                    objective = objective_of(kind, rng)
                    truth, study = true_shares(objective, rng), study_of(objective, trials, seed, tpe=tpe)
                    for name, method in METHODS.items():
                        begun = time.perf_counter()
                        shares = method(study)
                        seconds[name] += time.perf_counter() - begun
                        first = bool(np.argmax(shares) == np.argmax(truth))
                        scores[name].append((float(np.nan_to_num(spearmanr(truth, shares)[0])), first))
                cells = [
                    f"{np.mean([r for r, _ in s]):.2f}, {np.mean([f for _, f in s]):.0%}" for s in scores.values()
                ]
                drawn = "TPE" if tpe else "evenly"
                print(f"| {kind} | {drawn} | {trials} | " + " | ".join(cells) + " |", flush=True)
    print("seconds a study:", {name: round(total / (18 * studies), 2) for name, total in seconds.items()})


if __name__ == "__main__":
    main()
