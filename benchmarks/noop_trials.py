"""What a trial costs when there is next to nothing to train, and whether that grows with their number.

A thousand trials of one epoch on 8 images, through the whole of medray.search: Optuna's draw, Tune, the
worker, the files of the trial, the study on disk.

    uv run python benchmarks/noop_trials.py [--trials 1000]
"""

import argparse
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SPACE = """
name: noop
data: phantom
objective: {{metric: accuracy}}
budget: {{trials: {trials}, max_epochs: 1, grace_epochs: 1000, reduction_factor: 2, patience: null}}
resources: {{cpu: 1}}
space:
  learning_rate: {{log: [0.0005, 0.005]}}
  dropout: {{uniform: [0.0, 0.5]}}
  optimizer: {{choice: [adam, adamw, sgd]}}
  momentum: {{uniform: [0.5, 0.99], when: {{optimizer: sgd}}}}
  batch_size: {{choice: [4, 8]}}
  label_smoothing: {{uniform: [0.0, 0.1]}}
"""


def main() -> None:
    """Run the search and print the cost of a trial, by hundreds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    given = parser.parse_args()
    from rich.console import Console

    from medray.search.run_search import run_search
    from medray.search.search_options import SearchOptions

    folder = Path(tempfile.mkdtemp(prefix="medray-bench-"))
    (folder / "noop.yaml").write_text(SPACE.format(trials=given.trials))
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 256, size=(8, 4, 4), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(8) % 2)[:, None]
    np.savez(folder / "data.npz", **arrays)
    start = time.perf_counter()
    options = SearchOptions(
        space=str(folder / "noop.yaml"), data=str(folder / "data.npz"), out=str(folder / "run")
    )
    run_search(options, Console(file=io.StringIO()))
    whole = time.perf_counter() - start
    ends = sorted(path.stat().st_mtime for path in (folder / "run/trials").glob("*/trial.json"))
    step = max(1, given.trials // 10)
    for first in range(0, given.trials - step + 1, step):
        part = ends[first : first + step]
        print(
            f"trials {first:5} to {first + step - 1:5}: "
            f"{1000 * (part[-1] - part[0]) / (len(part) - 1):6.1f} ms each"
        )
    trained = [
        json.loads(line)["seconds"]
        for path in (folder / "run/trials").glob("*/epochs.jsonl")
        for line in path.read_text().splitlines()
    ]
    print(f"whole search {whole:.1f} s; {1000 * whole / given.trials:.1f} ms a trial, start and end included")
    print(f"the one epoch itself: {1000 * float(np.median(trained)):.1f} ms (median)")


if __name__ == "__main__":
    main()
