"""How often `--stop-when-flat` stops a search too early, and how many trials it saves, in simulated searches.

    python benchmarks/flat_searches.py --seeds 20

A search draws by medray's own sampler from eight settings. A trial's true quality falls with the weighted squares
of its distance from the best settings; its objective has noise of its own besides, half of the standard error that
the validation images give every objective. Each search runs to the end; the rule is then applied after each of its
trials. Lost is the true quality of the best trial at the end less that of the best one at the stop, in standard
errors; "too early" counts searches that lost more than half of one.
"""

import math

import click
import numpy as np
import optuna
from optuna.distributions import FloatDistribution

from medray.runs.trial_record import FINISHED, TrialRecord
from medray.search import flatness
from medray.search.optuna_study import SpreadTPE

TRIALS, SETTINGS, ERROR = 160, 8, 0.02
#: The weights of the settings, in standard errors.
SEARCHES = {
    "two settings matter": (20.0, 10.0, 0.5, 0.5, 0.2, 0.2, 0.0, 0.0),
    "all settings matter": (12.0, 10.0, 8.0, 8.0, 6.0, 6.0, 4.0, 4.0),
    "none matters": (0.2,) * 8,
}
PARTS = (0.0, 0.1, 0.25, 0.5, 1.0)


def search(seed: int, weights: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """Return the true qualities and the objectives of a search's trials."""
    rng = np.random.default_rng(seed)
    best = rng.uniform(0.1, 0.9, SETTINGS)
    study = optuna.create_study(direction="maximize")
    true, measured = [], []
    for number in range(TRIALS):
        study.sampler = SpreadTPE(seed, number, number)
        trial = study.ask({f"x{i}": FloatDistribution(0, 1) for i in range(SETTINGS)})
        distances = np.array([trial.params[f"x{i}"] for i in range(SETTINGS)]) - best
        true.append(0.9 - ERROR * float(np.array(weights) @ distances**2))
        measured.append(true[-1] + float(rng.normal(0, ERROR / 2)))
        study.tell(trial, measured[-1])
    return true, measured


def stop_at(measured: list[float], part: float) -> int:
    """Return the number of trials after which the rule stops a search; all of them where it never does."""
    records = [TrialRecord(n, FINISHED, objective=value) for n, value in enumerate(measured)]
    flatness.PART = part
    for count in range(1, len(records)):
        if flatness.is_flat(records[:count], "max", lambda record: ERROR):
            return count
    return len(records)


@click.command()
@click.option("--seeds", default=20)
def main(seeds: int) -> None:
    """Print the table."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{seeds} searches each of {TRIALS} trials")
    print("| search | part of the standard error | stopped | after trials | lost, mean | too early |")
    print("|---|---|---|---|---|---|")
    for name, weights in SEARCHES.items():
        searches = [search(seed, weights) for seed in range(seeds)]
        for part in PARTS:
            stops = [stop_at(measured, part) for _, measured in searches]
            lost = [
                (true[int(np.argmax(measured))] - true[int(np.argmax(measured[:stop]))]) / ERROR
                for (true, measured), stop in zip(searches, stops, strict=True)
            ]
            early = np.mean(np.array(lost) > 0.5)
            print(
                f"| {name} | {part:g} | {np.mean(np.array(stops) < TRIALS):.0%} | {math.floor(np.median(stops))} "
                f"| {np.mean(lost):.2f} | {early:.0%} |"
            )


if __name__ == "__main__":
    main()
