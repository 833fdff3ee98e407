"""Which rungs `medray init`'s ladder should have: linear heads on frozen features, by folds, on several data sets.

Each rung is a training by medray's own fit on folds of train and val, with copies on one side; the test split is
not read. Measured are the image size, what a linear head sees (`pooling`) and how strongly it is regularised
(`weight_decay`); with --normalisation images also the images' own mean and deviation in place of those that the
weights were trained with; with --slow a small network from random weights, and fine-tuning. Each result is a line
of --results; what is there is not measured again.

    python benchmarks/portfolio.py --data data --weights weights --sizes 64 128
    python benchmarks/portfolio.py --table [--page docs/performance.md]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from ladder_rungs.measure import METRICS, Measurement, read_results
from ladder_rungs.rungs import NORMALISATIONS, SIDES, WEIGHTS, probes, slow
from ladder_rungs.tables import all_tables
from search_quality.data_sets import SETS
from search_quality.tables import write_between

PART = "portfolio"  # the marks on a page, between which the tables stand


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scratch = Path(tempfile.gettempdir()) / "portfolio"
    parser.add_argument("--results", type=Path, default=Path("portfolio.jsonl"))
    parser.add_argument(
        "--data", type=Path, help="folder of breastmnist.npz, ..., busi/images, bloodcells/labels.csv"
    )
    parser.add_argument("--weights", type=Path, help="folder of BACKBONE.safetensors")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIDES, default=list(SIDES))
    parser.add_argument("--normalisation", choices=NORMALISATIONS, default=WEIGHTS)
    parser.add_argument("--slow", action="store_true", help="a small network, and fine-tuning, in place of heads")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="cores; the process is bound to so many")
    parser.add_argument("--scratch", type=Path, default=scratch, help="folder of arrays")
    parser.add_argument("--cache", type=Path, help="folder of features; one in --scratch")
    parser.add_argument(
        "--table", action="store_true", help="print the tables of the results, and measure nothing"
    )
    parser.add_argument("--page", type=Path, help="with --table: write them between the marks of this page")
    return parser.parse_args()


def measure(given: argparse.Namespace) -> None:
    """Measure whatever has no result yet: size by size, so that an early end leaves whole comparisons."""
    import torch

    torch.set_num_threads(given.threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-given.threads :])
    os.environ["MEDRAY_WEIGHTS"] = str(given.weights)
    os.environ["MEDRAY_CACHE"] = str(given.cache or given.scratch / "cache")
    measurements = {
        name: Measurement(
            SETS[name], given.data, given.scratch, given.backbone, given.weights, given.seed, given.folds
        )
        for name in given.sets
    }
    done = {result.key for result in read_results(given.results)}
    given.results.parent.mkdir(parents=True, exist_ok=True)
    for side in given.sizes:
        for name, measurement in measurements.items():
            for rung in slow(side) if given.slow else probes(side, given.normalisation):
                if (name, rung.name) in done:
                    continue
                started = time.perf_counter()
                result = measurement.run(rung)
                done.add(result.key)
                with given.results.open("a") as file:
                    file.write(json.dumps(result.to_dict()) + "\n")
                means = ", ".join(f"{metric} {result.mean(metric):.4f}" for metric in METRICS)
                print(f"{name:15}{rung.name:40}{means}, {time.perf_counter() - started:.0f} s", flush=True)


def main() -> None:
    """Measure, or show what was measured."""
    given = arguments()
    if given.table:
        results = [result for result in read_results(given.results) if result.set in given.sets]
        if not results:
            sys.exit(f"{given.results} has no results")
        text = all_tables(results)
        print(text)
        if given.page:
            write_between(given.page, PART, text)
        return
    for name in ("data", "weights"):
        if getattr(given, name) is None:
            sys.exit(f"--{name} FOLDER is needed; {__doc__.splitlines()[0]}")
    measure(given)


if __name__ == "__main__":
    main()
