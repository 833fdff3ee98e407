"""Ray Tune as its documentation shows it: a function trainable, OptunaSearch, ASHA, a checkpoint each epoch."""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

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
    network_names,
    predict,
    train,
)


def trainable(settings: dict[str, Any], arrays: Arrays, task: Task) -> None:
    """Train one network, and report each epoch with a checkpoint."""
    torch.set_num_threads(1)
    name = tune.get_context().get_trial_id()
    seed = task.draws(sorted(settings.items()))
    for _, auc, network in train(
        settings, arrays, task.weights, seed=seed, turns=task.turns, deadline=task.deadline
    ):
        task.epoch(name, auc)
        with tempfile.TemporaryDirectory() as folder:
            torch.save(network.state_dict(), os.path.join(folder, "network.pt"))  # noqa: PTH118
            tune.report({"auc": auc}, checkpoint=tune.Checkpoint.from_directory(folder))


def search(task: Task, arrays: Arrays) -> tune.ResultGrid:
    """Search until the time is over."""
    space = {
        "network": tune.choice(network_names(task.weights)),
        "learning_rate": tune.loguniform(1e-4, 1e-2),
        "batch_size": tune.choice(list(BATCHES)),
        "weight_decay": tune.loguniform(1e-6, 1e-1),
        "dropout": tune.uniform(0.0, 0.5),
        "pipeline": tune.choice(list(PIPELINES)),
    }
    with_data = tune.with_parameters(trainable, arrays=arrays, task=task)
    tuner = tune.Tuner(
        tune.with_resources(with_data, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="auc",
            mode="max",
            num_samples=-1,
            time_budget_s=task.left,
            search_alg=OptunaSearch(seed=task.draws("tune")),
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=GRACE, reduction_factor=2),
        ),
        run_config=tune.RunConfig(
            storage_path=str(task.folder / "tune"),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=1, checkpoint_score_attribute="auc", checkpoint_score_order="max"
            ),
            verbose=0,
        ),
    )
    return tuner.fit()


def main() -> None:
    """Search, hand over the best network, measure it on test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    task = Task.read(parser.parse_args().task)
    ray.init(address="local", num_cpus=task.threads, include_dashboard=False)
    arrays = Arrays.load(task.data)
    results = search(task, arrays)
    best = results.get_best_result(scope="all")
    checkpoint = best.get_best_checkpoint("auc", "max")
    assert checkpoint is not None
    assert best.config is not None
    network = build_network(best.config["network"], arrays, best.config["dropout"], task.weights)
    with checkpoint.as_directory() as folder:
        network.load_state_dict(torch.load(Path(folder) / "network.pt", weights_only=True))
    task.hand_over(len(results))
    torch.set_num_threads(task.threads)
    probabilities, labels = predict(network, best.config["network"], arrays.images["test"]), arrays.labels["test"]
    task.test(auc_of(probabilities, labels), accuracy_of(probabilities, labels), probabilities, labels)


if __name__ == "__main__":
    main()
