"""Which recipes of training pay: averaged weights, warm-up, layer-wise rates, losses, transforms, mirroring.

Each recipe is a training by medray's own loop with one thing changed, on folds of train and val with copies on one
side; the test split is not read, and no epoch is chosen: a training is measured after its last one, plain and with
the mirror image's answer averaged in. Each result is a line of --results; what is there is not measured again.

    python benchmarks/recipe.py --data data --weights weights
    python benchmarks/recipe.py --table [--page docs/performance.md]
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from ladder_rungs.measure import Measurement
from recipes.arms import ARMS, KINDS
from recipes.results import RecipeResult, read_results, run_arm
from recipes.tables import all_tables
from search_quality.data_sets import SETS
from search_quality.tables import write_between

PART = "recipe"  # the marks on a page, between which the tables stand


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("recipe.jsonl"))
    parser.add_argument(
        "--data", type=Path, help="folder of breastmnist.npz, ..., busi/images, bloodcells/labels.csv"
    )
    parser.add_argument("--weights", type=Path, help="folder of BACKBONE.safetensors")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--arms", type=int, default=len(ARMS), help="only so many recipes of a kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--most", type=int, default=800, help="training images of a fold, at most")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "recipe")
    parser.add_argument(
        "--table", action="store_true", help="print the tables of the results, and measure nothing"
    )
    parser.add_argument("--page", type=Path, help="with --table: write them between the marks of this page")
    return parser.parse_args()


def measure(given: argparse.Namespace) -> None:
    """Measure whatever has no result yet, on one thread."""
    import torch

    torch.set_num_threads(1)
    os.environ["MEDRAY_WEIGHTS"] = str(given.weights)
    os.environ["MEDRAY_CACHE"] = str(given.scratch / "cache")
    done = {result.key for result in read_results(given.results)}
    for kind in given.kinds:
        for name in given.sets:
            folds = Measurement(
                SETS[name], given.data, given.scratch, given.backbone, given.weights, given.seed, given.folds
            )
            arms = [arm for arm in ARMS if kind in arm.kinds][: given.arms]
            for arm in (arm for arm in arms if (name, kind, arm.name) not in done):
                result = run_arm(arm, kind, folds, given.most)
                with given.results.open("a") as file:
                    file.write(json.dumps(result.to_dict()) + "\n")
                print(f"{name:15}{kind:7}{arm.name:42}{summary(result)}", flush=True)


def summary(result: RecipeResult) -> str:
    """Return the means over the folds in short."""
    means = ", ".join(f"{metric} {np.mean(values):.4f}" for metric, values in result.scores.items())
    return f"{means}, {sum(result.seconds):.0f} s"


def main() -> None:
    """Measure, or show what was measured."""
    given = arguments()
    if given.table:
        results = read_results(given.results)
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
