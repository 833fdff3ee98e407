"""The results of a nested cross-validation as lines for people and as JSON."""

import dataclasses
from collections.abc import Callable
from typing import Any

from rich.console import Console

from medray.console import say
from medray.console_tables import metric_title, number, number_with_sd, print_table
from medray.crossval.nested.run_nested import NestedResult
from medray.runs.fold_results import MeanStd
from medray.runs.nested_results import NestedScores
from medray.stats.score_names import METRICS
from medray.tasks import TASKS, Task
from medray.text import plural


def print_nested_result(result: NestedResult, console: Console) -> None:
    """Print the score of the procedure beside the one that a search gives itself, then each fold."""
    nested, scores = result.searched.run.nested, result.scores
    if scores.ended:
        _print_spreads(scores, TASKS[result.searched.space.task], console)
        _print_folds(scores, console)
        console.print()
        for line in reading_lines(scores):
            say(console, line)
        say(console, f"Scores: {nested.path(nested.SCORES)}")
    if result.left:
        say(console, f"{plural(result.left, 'outer fold')} left; go on with: {result.resume_command}")


def _print_spreads(scores: NestedScores, task: Task, console: Console) -> None:
    title = f"Nested cross-validation, mean ± standard deviation over {plural(len(scores.ended), 'outer fold')}"
    rows = {
        "ensemble, held out": scores.held_out,
        "ensemble, on val": scores.on_val,
        "best trial, held out": scores.best_trial,
    }

    def cells(metric: str) -> list[str]:
        spreads = [spread_of(metric) for spread_of in rows.values()]
        return [number_with_sd(spread.mean, spread.std) if spread else "–" for spread in spreads]

    metrics = task.table_metrics(scores.plan.metric)
    print_table(console, title, list(rows), [(metric_title(metric), cells(metric)) for metric in metrics])


def _print_folds(scores: NestedScores, console: Console) -> None:
    metric, ended = scores.plan.metric, scores.ended
    columns = [
        ("images", [str(fold.images) for fold in ended]),
        ("best trial", [str(fold.best_trial) for fold in ended]),
        (f"{metric_title(metric)} held out", [number(fold.held_out_scores.get(metric)) for fold in ended]),
        ("on val", [number(fold.val_scores.get(metric)) for fold in ended]),
    ]
    print_table(console, "Each outer fold", [str(fold.fold) for fold in ended], columns, "fold")


def reading_lines(scores: NestedScores) -> list[str]:
    """Return what the figures mean, as sentences."""
    metric = scores.plan.metric
    lines = [
        f"Held out: what the procedure ({scores.procedure}) reaches on new images,",
        f"trained on about {1 - 1 / scores.plan.folds:.0%} of the images that there are.",
        "On val: what a search says of itself. Epoch, trials and members were selected there.",
    ]
    held_out, on_val = scores.held_out(metric), scores.on_val(metric)
    if held_out and on_val:
        better = (on_val.mean - held_out.mean) * (1 if METRICS[metric] == "max" else -1)
        difference = f"{number(better)} better than" if better > 0 else "no better than"
        lines.append(f"Here {metric_title(metric)} on val was {difference} held out, on average.")
    lines.append("The folds share training images: ± is the spread of single folds, no interval of the mean.")
    return lines


def nested_result_json(result: NestedResult) -> dict[str, Any]:
    """Return the results as plain values for JSON."""
    scores, nested = result.scores, result.searched.run.nested
    metrics = scores.ended[0].held_out_scores if scores.ended else {}

    def spreads(spread_of: Callable[[str], MeanStd | None]) -> dict[str, Any]:
        return {metric: dataclasses.asdict(spread) for metric in metrics if (spread := spread_of(metric))}

    return {
        "run": result.searched.run.location,
        "folds": {"count": len(result.folds), "kind": result.folds.kind, "images": len(result.folds.held_out)},
        "trials": scores.plan.trials,
        "top_k": scores.plan.top_k,
        "held_out": spreads(scores.held_out),
        "on_val": spreads(scores.on_val),
        "best_trial_held_out": spreads(scores.best_trial),
        "outer_folds": [fold.to_dict() for fold in scores.ended],
        "scores": nested.path(nested.SCORES),
        "folds_left": result.left,
        "resume": result.resume_command if result.left else None,
    }
