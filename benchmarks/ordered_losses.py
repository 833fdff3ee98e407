"""What losses that know the order of grades are worth: RetinaMNIST, from the search to the test split.

Two studies of each seed, alike but for the losses that their searches may draw:

    plain    cross entropy
    ordered  the cumulative-link loss or CORN

Each is the shipped space `retinopathy` with a smaller budget, without its slowest backbone and its baselines: a
search, cross-validation of its best settings, an ensemble of the folds with an operating point of sensitivity 0.9
for grade 2 or more, and one read of the test split. Nothing is selected by the test images; four of them have a
near-duplicate in another split, and the scores without those are given too. Prints the scores with 95 %
intervals, and each seed's difference between both studies, paired by image; writes them as JSON.

    uv run python -m benchmarks.ordered_losses [--data SOURCE] [--out FOLDER] [--seeds 3] [--trials 12]
                                               [--epochs 12]

Studies that are in FOLDER already go on where they ended, or answer from what they have stored. About half an
hour of one core.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from medray import Study
from medray.console_tables import interval, metric_title, number
from medray.evaluate.evaluated_models import ENSEMBLE
from medray.evaluate.run_evaluation import Evaluation
from medray.runs.rundir import RunDir
from medray.space.shipped import find_space
from medray.stats.bootstrap import Estimate
from medray.stats.compare import compare_models
from medray.stats.scores import Predictions

LOSSES = {"plain": ["cross_entropy"], "ordered": ["cumulative", "corn"]}
BACKBONES = ["lenet5_wide_bn", "resnet8_small"]
METRICS = ("auc", "accuracy", "quadratic_kappa", "within_one", "grade_error")
TOP, FOLDS = 2, 3
CUT, SENSITIVITY = "2", 0.9  # grade 2 or more


def write_space(path: Path, losses: list[str], trials: int, epochs: int) -> None:
    """Write the shipped space with these losses, and a budget of so many trials and epochs."""
    space = yaml.safe_load(find_space("retinopathy").read_text(encoding="utf-8"))
    grace = max(1, epochs // 3)
    space["budget"] |= {"trials": trials, "max_epochs": epochs, "grace_epochs": grace, "patience": grace}
    settings = space["space"]
    for name in ("pretrained", "trainable_blocks", "freeze_norms", "epochs", "image_size", "pooling"):
        del settings[name]  # of the published network, without which losses are compared
    settings |= {"loss": {"choice": losses}, "backbone": {"choice": BACKBONES}}
    settings |= {"optimizer": {"choice": ["adam", "adamw"]}, "learning_rate": {"log": [0.0005, 0.01]}}
    settings["weight_decay"] = {"choice": [0.0, 0.0001, 0.01]}
    del space["baselines"], space["published"], space["portfolio"]
    path.write_text(yaml.safe_dump(space, sort_keys=False), encoding="utf-8")


def run_study(space: Path, data: str, out: Path, seed: int) -> Evaluation:
    """Run a study from the search to the test split, or go on with the one in `out`."""
    study, run = Study(space, data=data, out=out, runner="local", quiet=True), RunDir(str(out))
    if not run.evaluation.names():
        begun, folded = run.exists(run.RUN), run.crossval.exists(run.crossval.PLAN)
        searched = study.search(seed=None if begun else seed, allow_leaks=not begun, resume=begun)
        if searched.left:
            sys.exit(f"{out}: interrupted; the same command goes on with it")
        crossval_seed, folds = (None, None) if folded else (seed, FOLDS)
        if study.crossval(top=TOP, folds=folds, seed=crossval_seed, resume=folded).left:
            sys.exit(f"{out}: interrupted; the same command goes on with it")
        study.ensemble(sensitivity=SENSITIVITY, positive=CUT)
    return study.evaluate()


def difference(ordered: Evaluation, plain: Evaluation, metric: str) -> Estimate:
    """Return how far the ordered study's ensemble lies above the plain one's, paired by image."""
    models = {}
    for name, evaluation in (("ordered", ordered), ("plain", plain)):
        tables, labels = evaluation.read.predictions()
        models[name] = Predictions(tables[ENSEMBLE], labels, len(evaluation.scores.class_names))
    result = compare_models("ordered", "plain", metric, models, None)
    return Estimate(result.difference, result.low, result.high)


def facts(evaluation: Evaluation, seconds: float) -> dict[str, Any]:
    """Return a study's scores, its operating point and its 90 % sets on the test images, for the JSON."""
    scores = evaluation.scores
    point, sets = scores.operating_points[0], scores.conformal_sets[0]
    return {
        "scores": {metric: scores.models[0].scores[metric].to_dict() for metric in METRICS},
        "networks": scores.models[0].networks,
        "test_images": scores.images,
        "reads": evaluation.reads.total,
        "grade_2_or_more": {"promised": point.promised, "test": point.test.to_dict()},
        "sets": {"coverage": sets.coverage, "test": sets.test.to_dict()},
        "without_copies": scores.without_copies and scores.without_copies.to_dict(),
        "seconds": round(seconds),
    }


def print_table(seed: int, studies: dict[str, Evaluation], gaps: dict[str, Estimate]) -> None:
    """Print one row for each score of a seed's two studies."""
    for metric in METRICS:
        cells = [interval(studies[name].scores.models[0].scores[metric]) for name in LOSSES]
        print(
            f"| {seed} | {metric_title(metric)} | {cells[0]} | {cells[1]} | {interval(gaps[metric], sign=True)} |"
        )
    for name, study in studies.items():
        point, sets = study.scores.operating_points[0].test, study.scores.conformal_sets[0].test
        print(
            f"  seed {seed}, {name}, grade {CUT} or more: sensitivity {interval(point.sensitivity)}, specificity "
            f"{interval(point.specificity)}; sets of 90 % cover {interval(sets.covered)}, with "
            f"{number(sets.mean_size)} grades"
        )


def main() -> None:
    """Run the studies of each seed, and print and write what they have scored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="medmnist:retinamnist", help="[medmnist:retinamnist]")
    parser.add_argument("--out", type=Path, default=Path("runs/ordered_losses"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"| seed | score | {' | '.join(LOSSES)} | ordered - plain |\n|---|---|---|---|---|")
    results: list[dict[str, Any]] = []
    for seed in range(given.seeds):
        studies: dict[str, Evaluation] = {}
        result: dict[str, Any] = {"seed": seed}
        for name, losses in LOSSES.items():
            start, space = time.perf_counter(), given.out / f"{name}.yaml"
            if not space.exists():
                write_space(space, losses, given.trials, given.epochs)
            studies[name] = run_study(space, given.data, given.out / f"{name}_{seed}", seed)
            result[name] = facts(studies[name], time.perf_counter() - start)
        gaps = {metric: difference(studies["ordered"], studies["plain"], metric) for metric in METRICS}
        print_table(seed, studies, gaps)
        results.append(result | {"difference": {metric: gap.to_dict() for metric, gap in gaps.items()}})
        (given.out / "scores.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
