"""What a cross-validation costs beyond the training itself: ten folds of a small network, two ways, same cores.

    bare      fit() in a loop, in as many processes as there are slots, each with its share of the folds
    medray    python -m medray.crossval, from nothing: Ray's start, Ray Train's, and all files

Prints both, their ratio, and 1.3 times the bare loops plus 20 s, which medray should not exceed.

    uv run python benchmarks/crossval_overhead.py [--folds 10] [--epochs 6] [--images 1200] [--runs 3]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from search_overhead import write_data

from medray.config import TrainConfig
from medray.data.load_data import load_data
from medray.runs.run_facts import DataFacts, ResolvedOptions, RunFacts
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FINISHED

SLOTS = 2
SPACE = """
name: folds
data: phantom
objective: {metric: auc}
budget: {trials: 1, max_epochs: 6, grace_epochs: 200, reduction_factor: 2, patience: null}
resources: {cpu: 1}
space:
  learning_rate: {log: [0.0005, 0.005]}
"""
BARE = """
import json, sys
import torch
from medray.config import TrainConfig
from medray.data.load_data import load_data
from medray.data.folds import make_folds
from medray.training.loop import fit
torch.set_num_threads(1)
dataset = load_data(sys.argv[1])
folds = make_folds(dataset, int(sys.argv[2]), 0).folds
config = TrainConfig.from_dict(json.loads(sys.argv[3]))
for fold in folds[int(sys.argv[4]) :: 2]:
    for _ in fit(config, dataset.at(fold.train), dataset.at(fold.val)):
        pass
"""


def run_bare(data: Path, config: TrainConfig, folds: int) -> float:
    """Time the loops with the processes that they run in."""
    start = time.perf_counter()
    words = [sys.executable, "-c", BARE, str(data), str(folds), json.dumps(config.to_dict())]
    for process in [subprocess.Popen([*words, str(slot)]) for slot in range(SLOTS)]:
        assert process.wait() == 0
    return time.perf_counter() - start


def one_trial_run(data: Path, config: TrainConfig) -> RunDir:
    """Leave what a search of one trial leaves, so that its settings can be cross-validated."""
    dataset = load_data(str(data))
    run = RunDir(tempfile.mkdtemp(prefix="medray-bench-"))
    trial = run.trial(0)
    trial.write_json(trial.CONFIG, config.to_dict())
    trial.write_record(trial.make_record(0, FINISHED, ended_by="epochs"))
    run.write(run.SPACE, SPACE.encode())
    run.write_json(run.DATA, DataFacts.of(dataset).to_dict())
    options = ResolvedOptions(str(data), 1, 1, 1, 0, None, baselines_only=False)
    run.write_json(run.RUN, RunFacts("", "folds", "auc", options, "", "", {}).to_dict())
    return run


def run_medray(data: Path, config: TrainConfig, folds: int) -> float:
    """Time the command on a run of one trial."""
    run = one_trial_run(data, config)
    words = [sys.executable, "-m", "medray.crossval", run.location, "--trial", "0", "--folds", str(folds)]
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Run both by turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    data = write_data(Path(tempfile.mkdtemp(prefix="medray-bench-")) / "noise.npz", given.images)
    config = TrainConfig(backbone="lenet5_wide", batch_size=64, epochs=given.epochs, monitor="auc")
    bare, medray = [], []
    for run in range(given.runs):
        bare.append(run_bare(data, config, given.folds))
        medray.append(run_medray(data, config, given.folds))
        print(f"run {run + 1}: bare {bare[-1]:.1f} s, medray {medray[-1]:.1f} s", flush=True)
    one, two = statistics.median(bare), statistics.median(medray)
    print(f"{given.folds} folds of {given.epochs} epochs on {SLOTS} cores, medians of {given.runs} runs:")
    print(f"bare {one:.1f} s, medray {two:.1f} s: {two / one:.2f} ×; 1.3 × bare + 20 s = {1.3 * one + 20:.1f} s")


if __name__ == "__main__":
    main()
