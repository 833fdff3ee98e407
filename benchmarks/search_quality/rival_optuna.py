"""Optuna alone, in one process with all threads: random search with ASHA, or TPE with Hyperband.

Random search hands over its best network, TPE the mean of its four best, as a person who reads the study would.
"""

import argparse
from typing import Any

import numpy as np
import optuna
import torch
from torch import Tensor

from .handover import Task
from .rival_trainer import (
    BATCHES,
    EPOCHS,
    GRACE,
    PIPELINES,
    Arrays,
    accuracy_of,
    auc_of,
    build_network,
    copied_state,
    network_names,
    predict,
    train,
)

MEMBERS = {"random": 1, "tpe": 4}


def suggest(trial: optuna.Trial, networks: list[str]) -> dict[str, Any]:
    """Return settings that the study draws."""
    return {
        "network": trial.suggest_categorical("network", networks),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", BATCHES),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "pipeline": trial.suggest_categorical("pipeline", PIPELINES),
    }


class Objective:
    """The validation AUC of a training; keeps the weights of the best networks, each at its best epoch."""

    def __init__(self, task: Task, arrays: Arrays, members: int) -> None:
        self.task, self.arrays, self.members = task, arrays, members
        self.best: list[tuple[float, dict[str, Any], dict[str, Tensor]]] = []

    def __call__(self, trial: optuna.Trial) -> float:
        task = self.task
        settings = suggest(trial, network_names(task.weights))
        seed = task.draws(trial.number)
        best, state, pruned = 0.0, None, False
        epochs = train(
            settings, self.arrays, task.weights, seed=seed, turns=task.turns, deadline=task.deadline
        )  # fmt: skip
        for epoch, auc, network in epochs:
            task.epoch(trial.number, auc)
            if auc > best:
                best, state = auc, copied_state(network)
            trial.report(auc, epoch)
            if trial.should_prune():
                pruned = True
                break
        if state is not None:
            kept = [*self.best, (best, settings, state)]
            self.best = sorted(kept, key=lambda member: -member[0])[: self.members]
        if pruned or state is None:
            raise optuna.TrialPruned
        return best

    def predict(self, split: str) -> Any:
        """Return the mean of the kept networks' probabilities (n, classes)."""
        tables = []
        for _, settings, state in self.best:
            network = build_network(settings["network"], self.arrays, settings["dropout"], self.task.weights)
            network.load_state_dict(state)
            tables.append(predict(network, settings["network"], self.arrays.images[split]))
        return np.mean(tables, axis=0)


def make_study(sampler: str, seed: int) -> optuna.Study:
    """Return the study: random with successive halving, or TPE with Hyperband."""
    if sampler == "random":
        return optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed),
            study_name=sampler,
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=GRACE),
        )
    return optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        study_name=sampler,  # Hyperband draws a trial's bracket by it
        pruner=optuna.pruners.HyperbandPruner(min_resource=GRACE, max_resource=EPOCHS),
    )


def main() -> None:
    """Search until the time is over, hand over, measure on test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--sampler", choices=tuple(MEMBERS), required=True)
    given = parser.parse_args()
    task = Task.read(given.task)
    torch.set_num_threads(task.threads)
    arrays = Arrays.load(task.data)
    study = make_study(given.sampler, task.draws(given.sampler))
    objective = Objective(task, arrays, MEMBERS[given.sampler])
    study.optimize(objective, timeout=task.left)
    task.hand_over(len(study.trials))
    probabilities, labels = objective.predict("test"), arrays.labels["test"]
    task.test(auc_of(probabilities, labels), accuracy_of(probabilities, labels), probabilities, labels)


if __name__ == "__main__":
    main()
