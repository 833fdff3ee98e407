"""What a search costs beyond the training itself: the same short trainings, four ways, on the same cores.

    bare      fit() in a loop, in as many processes as there are slots
    medray    medray.search, on a Ray that is up
    plain     Ray Tune as its documentation has it: a function trainable that loads its data, a checkpoint an
              epoch, no reuse; the same fit() inside
    optuna    Optuna alone: one process with as many threads as there are cores, the same fit() inside

"whole" is from nothing (for medray and plain: from a Ray that is up) to the last training's end; "warm" is what
the trainings take once every slot has done its first, as in a search of many. The settings are fixed, so that
every way does the same work; what differs is the way. Prints ratios, which travel from machine to machine
better than seconds do.

    uv run python benchmarks/search_overhead.py [--trials 16] [--epochs 4] [--runs 3] [--ways bare,medray]
"""

import argparse
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SLOTS = 2
SPACE = """
name: overhead
data: phantom
objective: {{metric: auc}}
budget: {{trials: {trials}, max_epochs: {epochs}, grace_epochs: 1000, reduction_factor: 2, patience: null}}
resources: {{cpu: 1}}
space:
  learning_rate: {{log: [0.0005, 0.005]}}
fixed: {{backbone: lenet5_wide, batch_size: 64}}
"""


def write_data(path: Path, images: int) -> Path:
    """Write `images` training images of noise in MedMNIST's form."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", images), ("val", images // 4), ("test", 8)):
        arrays[f"{split}_images"] = rng.integers(0, 256, size=(count, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 4)[:, None]
    np.savez(path, **arrays)
    return path


def settings(epochs: int) -> list[dict[str, Any]]:
    """The learning rates that the plain ways use."""
    rates = np.geomspace(0.0005, 0.005, 16)
    return [
        {"backbone": "lenet5_wide", "batch_size": 64, "learning_rate": float(rate), "epochs": epochs}
        for rate in rates
    ]


BARE = """
import json, sys, time
import torch
from medray.config import TrainConfig
from medray.data.load_data import load_data
from medray.training.loop import fit
torch.set_num_threads(1)
dataset = load_data(sys.argv[1])
configs = [TrainConfig.from_dict(values) for values in json.loads(sys.argv[2])]
train, val = dataset.split("train"), dataset.split("val")
print("ready", flush=True)
sys.stdin.readline()
for config in configs:
    for _ in fit(config, train, val):
        pass
    print(time.time(), flush=True)
"""


def measured(start: float, ends: list[float], slots: int = SLOTS) -> dict[str, float]:
    """The whole time, and the warm one: what the trainings take once every slot has done its first."""
    ends = sorted(ends)
    warm = (ends[-1] - ends[slots - 1]) * len(ends) / (len(ends) - slots)
    return {"whole": time.time() - start, "warm": warm}


def run_bare(data: Path, trials: list[dict[str, Any]]) -> dict[str, float]:
    """Time the loops alone, each slot a process."""
    start = time.time()
    shares = [json.dumps(trials[slot::SLOTS]) for slot in range(SLOTS)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, str(data), share],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for share in shares
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = []
    for process in processes:
        assert process.stdout is not None
        ends += [float(line) for line in process.stdout]
        process.wait()
    return measured(start, ends)


def run_medray(data: Path, trials: list[dict[str, Any]]) -> dict[str, float]:
    """Time medray.search on a Ray that is up."""
    from rich.console import Console

    from medray.search import run_search
    from medray.search.search_options import SearchOptions

    folder = Path(tempfile.mkdtemp(prefix="medray-bench-"))
    space = folder / "overhead.yaml"
    space.write_text(SPACE.format(trials=len(trials), epochs=trials[0]["epochs"]))
    options = SearchOptions(space=str(space), data=str(data), out=str(folder / "run"))
    start = time.time()
    result = run_search.run_search(options, Console(file=io.StringIO()))
    assert all(record.state == "finished" for record in result.records)
    return measured(start, [path.stat().st_mtime for path in (folder / "run/trials").glob("*/trial.json")])


def plain_trainable(config: dict[str, Any]) -> None:
    """A trial as Ray Tune's documentation has it."""
    import torch
    from ray import tune

    from medray.config import TrainConfig
    from medray.data.load_data import load_data
    from medray.training.loop import fit

    torch.set_num_threads(1)
    dataset = load_data(config.pop("data"))
    train_config = TrainConfig.from_dict(config)
    for result in fit(train_config, dataset.split("train"), dataset.split("val")):
        with tempfile.TemporaryDirectory() as folder:
            state = result.state()
            torch.save((state.network, state.optimizer), os.path.join(folder, "checkpoint.pt"))  # noqa: PTH118
            tune.report(
                {"auc": result.metrics["auc"], "loss": result.train_loss},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


def run_plain(data: Path, trials: list[dict[str, Any]]) -> dict[str, float]:
    """Time a plain Tune script."""
    from ray import tune

    start = time.time()
    tuner = tune.Tuner(
        tune.with_resources(plain_trainable, {"cpu": 1}),
        param_space={
            **trials[0],
            "data": str(data),
            "learning_rate": tune.grid_search([t["learning_rate"] for t in trials]),
        },
        tune_config=tune.TuneConfig(metric="auc", mode="max"),
        run_config=tune.RunConfig(
            storage_path=tempfile.mkdtemp(prefix="plain-bench-"),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            verbose=0,
        ),
    )  # fmt: skip
    results = tuner.fit()
    assert not results.errors
    return measured(start, [result.metrics["timestamp"] for result in results if result.metrics])


OPTUNA = """
import json, sys, time
import optuna, torch
from medray.config import TrainConfig
from medray.data.load_data import load_data
from medray.training.loop import fit
optuna.logging.set_verbosity(optuna.logging.ERROR)
torch.set_num_threads(2)
dataset = load_data(sys.argv[1])
trials = json.loads(sys.argv[2])
train, val = dataset.split("train"), dataset.split("val")
def objective(trial):
    values = {**trials[0], "learning_rate": trial.suggest_float("learning_rate", 0.0005, 0.005, log=True)}
    for result in fit(TrainConfig.from_dict(values), train, val):
        trial.report(result.metrics["auc"], result.epoch)
    print(time.time())
    return result.best["auc"]
optuna.create_study(direction="maximize").optimize(objective, n_trials=len(trials))
"""


def run_optuna(data: Path, trials: list[dict[str, Any]]) -> dict[str, float]:
    """Time Optuna alone."""
    start = time.time()
    words = [sys.executable, "-c", OPTUNA, str(data), json.dumps(trials)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return measured(start, [float(line) for line in done.stdout.split()], slots=1)


WAYS: dict[str, Callable[[Path, list[dict[str, Any]]], dict[str, float]]] = {
    "bare": run_bare,
    "medray": run_medray,
    "plain": run_plain,
    "optuna": run_optuna,
}


def main() -> None:
    """Run the ways by turns, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ways", default=",".join(WAYS))
    given = parser.parse_args()
    from medray.cluster.connect import RAY_ENVIRONMENT

    os.environ.update(RAY_ENVIRONMENT)
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    begun = time.perf_counter()
    ray.init(
        address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL"
    )
    print(f"Ray itself starts in {time.perf_counter() - begun:.1f} s, which is in no figure below")
    data = write_data(Path(tempfile.mkdtemp(prefix="medray-bench-")) / "noise.npz", given.images)
    trials = (settings(given.epochs) * given.trials)[: given.trials]
    seen: dict[str, list[dict[str, float]]] = {way: [] for way in given.ways.split(",")}
    for run in range(given.runs):
        for way, found in seen.items():
            found.append(WAYS[way](data, trials))
            print(f"run {run + 1}: {way:7} {found[-1]['whole']:6.1f} s whole, {found[-1]['warm']:6.1f} s warm")
    epochs = given.trials * given.epochs
    middle = {way: {k: statistics.median(f[k] for f in found) for k in found[0]} for way, found in seen.items()}
    print(f"\n{given.trials} trainings of {given.epochs} epochs on {SLOTS} cores, medians of {given.runs} runs")
    print(f"{'':8}{'whole, s':>10}{'/ bare':>8}{'warm, s':>10}{'/ bare':>8}{'epochs/min':>12}{'warm':>8}")
    bare = middle.get("bare", next(iter(middle.values())))
    for way, value in middle.items():
        pace = {name: 60 * epochs / seconds for name, seconds in value.items()}
        print(
            f"{way:8}{value['whole']:10.1f}{value['whole'] / bare['whole']:8.2f}{value['warm']:10.1f}"
            f"{value['warm'] / bare['warm']:8.2f}{pace['whole']:12.0f}{pace['warm']:8.0f}"
        )


if __name__ == "__main__":
    main()
