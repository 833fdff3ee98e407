"""The best model that the same time buys: medray as `medray init` writes it, beside what a user would write.

Each contestant has the same wall time, from the start of its process on, the same cores, images, splits and
weights, and a cache of its own that is empty:

    medray     medray init, medray search --hours, medray evaluate; the ensemble
    random     random search with ASHA's successive halving, by Optuna; its best network
    optuna     Optuna alone, TPE and Hyperband; the mean of its four best networks
    tune       Ray Tune as its documentation shows it, OptunaSearch and ASHA; its best network
    frozen     SVM or logistic regression on a frozen network's features, by scikit-learn; the best on val
    autogluon  AutoGluon's SVM on frozen features, where --autogluon-python has autogluon.multimodal

The curves are of single networks: the best validation AUC of any epoch so far. medray is told that AUC is the
objective, by `init --metric auc`, as it is everybody's.
Test is read once, after all is selected. Each result is a line of --results; what is there is not run again, so
that a comparison is interrupted and continued at will. Nothing else should run on the machine.

    uv run python -m benchmarks.search_quality --data data --weights weights --seconds 240
    uv run python -m benchmarks.search_quality --table [--page docs/performance.md]
    uv run --with matplotlib python -m benchmarks.search_quality --picture docs/pictures/search_quality.png
    uv run python -m benchmarks.search_quality --folds --sets bloodcells busi --seconds 3600
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from .data_sets import SETS, write_arrays
from .folds import folds_table, read_folds_results, run_folds
from .results import FINISHED, append_result, read_results
from .run_contestant import CONTESTANTS, Conditions, run_contestant
from .tables import all_tables, write_between

PART = "search quality"  # the marks on a page, between which the tables stand
FOLDS = ".folds.jsonl"  # the ending of the file of results by folds


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scratch = Path(tempfile.gettempdir()) / "search-quality"
    parser.add_argument("--results", type=Path, default=Path("search_quality.jsonl"))
    parser.add_argument(
        "--data", type=Path, help="folder of breastmnist.npz, ..., busi/images, bloodcells/labels.csv"
    )
    parser.add_argument("--weights", type=Path, help="folder of BACKBONE.safetensors, for all contestants")
    parser.add_argument("--seconds", type=float, default=240.0, help="wall time of each contestant")
    parser.add_argument("--threads", type=int, default=2, help="cores; the process is bound to so many")
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--contestants", nargs="+", choices=tuple(CONTESTANTS), help="all that can run")
    parser.add_argument("--autogluon-python", default="", help="a Python with autogluon.multimodal")
    parser.add_argument("--medray-arguments", default="", help="of medray search, in place of --hours")
    parser.add_argument("--scratch", type=Path, default=scratch, help="folder of arrays and of what runs")
    parser.add_argument("--keep", action="store_true", help="keep what runs have written")
    parser.add_argument("--table", action="store_true", help="print the tables of the results, and run nothing")
    parser.add_argument("--page", type=Path, help="with --table: write them between the marks of this page")
    parser.add_argument("--picture", type=Path, help="draw the curves of the results, and run nothing")
    parser.add_argument("--folds", action="store_true", help="medray by folds: --seconds of search, then crossval")
    parser.add_argument("--top", type=int, default=3, help="with --folds: settings")
    parser.add_argument("--fold-count", type=int, default=5)
    return parser.parse_args()


def conditions_of(given: argparse.Namespace) -> Conditions:
    """Return what all contestants have alike, and bind this process to its cores."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < given.threads:
            sys.exit(f"--threads {given.threads}: this process may use {len(cores)} cores")
        os.sched_setaffinity(0, cores[: given.threads])
    return Conditions(
        budget=given.seconds,
        threads=given.threads,
        weights=given.weights,
        scratch=given.scratch,
        keep=given.keep,
        medray_arguments=given.medray_arguments,
        autogluon_python=given.autogluon_python,
    )


def contestants_of(given: argparse.Namespace) -> list[str]:
    """Return the contestants that are named, or all that can run."""
    if given.contestants:
        return list(given.contestants)
    missing = {"frozen": not given.weights, "autogluon": not (given.weights and given.autogluon_python)}
    return [name for name in CONTESTANTS if not missing.get(name, False)]


def run_all(given: argparse.Namespace) -> None:
    """Run whatever has no finished result yet: seed by seed, so that an early end leaves whole comparisons."""
    conditions = conditions_of(given)
    done = {result.key for result in read_results(given.results) if result.state == FINISHED}
    for seed in given.seeds:
        for name in given.sets:
            data = write_arrays(SETS[name], given.data, given.scratch / "arrays")
            for contestant in contestants_of(given):
                if (name, seed, contestant, given.seconds) in done:
                    continue
                result = run_contestant(contestant, SETS[name], data, seed, conditions)
                append_result(given.results, result)
                figures = (
                    f"val {result.final:.3f}, test {result.test_auc:.3f} / {result.test_accuracy:.3f}, "
                    f"{result.seconds:.0f} s, {result.trials} trials, {result.epochs} epochs"
                    if result.test_auc is not None and result.test_accuracy is not None and result.seconds
                    else f"{result.reason}"
                )
                print(f"{name:15}seed {seed}  {contestant:10}{result.state}: {figures}", flush=True)


def run_all_folds(given: argparse.Namespace) -> None:
    """Run medray by folds wherever there is no result yet, and print the table."""
    conditions, path = conditions_of(given), given.results.with_suffix(FOLDS)
    for seed in given.seeds:
        for name in given.sets:
            done = {(r.set, r.seed, r.hours) for r in read_folds_results(path)}
            if (name, seed, given.seconds / 3600) in done:
                continue
            data = write_arrays(SETS[name], given.data, given.scratch / "arrays")
            result = run_folds(name, data, seed, given.top, given.fold_count, conditions)
            with path.open("a") as file:
                file.write(json.dumps(result.to_dict()) + "\n")
    print(folds_table(read_folds_results(path)))


def main() -> None:
    """Run, or show what was run."""
    given = arguments()
    if given.table or given.picture:
        results = [
            result
            for result in read_results(given.results)
            if result.budget == given.seconds and result.set in given.sets and result.seed in given.seeds
        ]
        if not results:
            sys.exit(f"{given.results} has no results of {given.seconds:g} s; --seconds says of which time")
        if given.table:
            text = all_tables(results)
            if folds := read_folds_results(given.results.with_suffix(FOLDS)):
                text += f"\n\nmedray by folds:\n\n{folds_table(folds)}"
            print(text)
            if given.page:
                write_between(given.page, PART, text)
        if given.picture:
            from .picture import draw

            draw(results, given.picture)
        return
    if given.data is None:
        sys.exit("--data FOLDER is needed: where breastmnist.npz and the others lie")
    if given.folds:
        run_all_folds(given)
    else:
        run_all(given)


if __name__ == "__main__":
    main()
