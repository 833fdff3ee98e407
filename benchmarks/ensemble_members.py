"""Which selection of trials makes the better ensemble: halves of the validation images of searches that are there.

Again and again the validation images of each run are halved at random, by class. Trials are ranked and selected
on one half by each rule, and their average is measured on the other. The test split is not read. Epochs were
selected on all of the images, alike for all rules, so that the figures flatter all of them. A rule takes all
linear heads, or of those on the same features the best alone, as medray does.

    uv run python benchmarks/ensemble_members.py runs/a runs/b [--splits 60]
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from medray._types import Array
from medray.ensemble.averaging import average
from medray.ensemble.candidates import Candidate, trial_pool
from medray.ensemble.strategies import Weighted, greedy, top_k
from medray.runs.finished_search import FinishedSearch, open_finished_search
from medray.runs.leaderboard import distinct
from medray.stats.score_names import METRICS
from medray.tasks import TASKS

Rule = Callable[[Sequence[Candidate], Array, str], Weighted]
SHOWN = ("auc", "accuracy", "log_loss")


def plain(k: int) -> Rule:
    """Return the rule that averages the best k, however far behind."""
    return lambda candidates, labels, metric: [(candidate, 1.0) for candidate in candidates[:k]]


def not_worse(k: int) -> Rule:
    """Return medray's own rule."""
    return lambda candidates, labels, metric: top_k(candidates, labels, metric, k)


#: Each rule, and whether it takes all linear heads.
RULES: dict[str, tuple[Rule, bool]] = {
    "the best trial": (plain(1), True),
    "the best 4": (plain(4), True),
    "the best 8": (plain(8), True),
    "the best 4, none clearly worse": (not_worse(4), True),
    "the best 8, none clearly worse": (not_worse(8), True),
    "the best 4, none clearly worse, one of alike heads": (not_worse(4), False),
    "the best 8, none clearly worse, one of alike heads": (not_worse(8), False),
    "greedy, one of alike heads": (greedy, False),
}


def halves(labels: Array, rng: np.random.Generator) -> Array:
    """Return which images are in the first half, bool (N,): half of each class."""
    first = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        first[rows[: len(rows) // 2]] = True
    return first


def measure(search: FinishedSearch, splits: int, seed: int) -> dict[str, dict[str, list[float]]]:
    """Return each rule's scores on the second half, for every split, by rule and metric."""
    metric, task = search.space.metric, TASKS[search.space.task]
    records = {record.number: record for record in search.records}
    every = [replace(record, settings={}) for record in search.records]  # none is known to be a linear head
    pool = trial_pool(search.run, every, search.space.mode, None, task.name, search.data.cases)
    sign = 1 if METRICS[metric] == "max" else -1
    rng = np.random.default_rng(seed)
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in RULES}
    for _ in range(splits):
        first = halves(pool.labels, rng)
        candidates = [replace(c, probabilities=c.probabilities[first]) for c in pool.candidates]
        objectives = [sign * task.measure_defined(c.probabilities, pool.labels[first])[metric] for c in candidates]
        order = np.argsort([-value for value in objectives], kind="stable")
        ranked = [candidates[i] for i in order]
        by_number = {c.number: c for c in pool.candidates}
        for name, (rule, takes_all) in RULES.items():
            offered = {record.number for record in distinct(records[c.number] for c in ranked)}
            taken = [c for c in ranked if takes_all or c.number in offered]
            selected = rule(taken, pool.labels[first], metric)
            tables = [by_number[c.number].probabilities[~first] for c, _ in selected]
            mean = average(tables, [weight for _, weight in selected], label_sets=task.label_sets)
            measured = task.measure_defined(mean, pool.labels[~first])
            for shown in dict.fromkeys((metric, *SHOWN)):
                if shown in measured:
                    scores[name].setdefault(shown, []).append(measured[shown])
    return scores


def main() -> None:
    """Print a table for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--splits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for location in given.runs:
        search = open_finished_search(location)
        scores = measure(search, given.splits, given.seed)
        columns = list(next(iter(scores.values())))
        trials = sum(record.objective is not None for record in search.records)
        images = search.data.splits["val"].images
        print(f"\n{search.data.source}: {images} images, {trials} trials, {given.splits} halves\n")
        print("| | " + " | ".join(columns) + " |")
        print("|---" * (len(columns) + 1) + "|")
        for name, row in scores.items():
            print(f"| {name} | " + " | ".join(f"{statistics.fmean(row[column]):.4f}" for column in columns) + " |")


if __name__ == "__main__":
    main()
