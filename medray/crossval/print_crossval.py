"""The last lines of a cross-validation, for people and for programs."""

from typing import Any

from rich.console import Console
from rich.table import Table

from medray.console import say
from medray.crossval.run_crossval import CrossvalResult
from medray.runs.fold_results import ISSUES, SCORES, SHEET

SHOWN = ("auc", "accuracy", "balanced_accuracy", "f1_macro", "log_loss")


def print_result(result: CrossvalResult, console: Console) -> None:
    """Print mean ± standard deviation over folds, doubtful labels, and where everything lies."""
    run = result.searched.run
    if result.settings:
        console.print(_table(result))
    for number, why in result.unfinished.items():
        say(console, f"trial {number} is not whole: {why}")
    if result.settings:
        images = len(result.folds.held_out)
        say(
            console,
            f"mean ± standard deviation over {len(result.folds)} folds; each fold's epoch was picked on the "
            "images it holds out, so expect a little less on new ones.",
        )
        say(console, f"Doubtful labels: {len(result.issues)} of {images} images: {run.crossval.path(ISSUES)}")
        if result.issues:
            say(console, f"                 as pictures: {run.crossval.path(SHEET)}")
        say(console, f"Scores: {run.crossval.path(SCORES)}")
    if result.left:
        say(console, f"{result.left} folds are left; go on with: {result.resume_command}")
    elif result.settings:
        say(console, f"Next: python -m medray.ensemble {result.searched.run.location}")


def _table(result: CrossvalResult) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("trial", justify="right")
    table.add_column("backbone")
    for metric in SHOWN:
        table.add_column(metric, justify="right", no_wrap=True)
    for setting in result.settings:
        spreads = [setting.spread(metric) for metric in SHOWN]
        shown = [f"{spread.mean:.4f} ± {spread.std:.4f}" if spread else "–" for spread in spreads]
        backbone = str(setting.records[0].settings.get("backbone", ""))
        table.add_row(str(setting.number), backbone, *shown)
    return table


def to_json(result: CrossvalResult) -> dict[str, Any]:
    """Return the same as plain values."""
    run = result.searched.run
    return {
        "run": run.location,
        "folds": {"count": len(result.folds), "kind": result.folds.kind, "images": len(result.folds.held_out)},
        "settings": [
            {
                "trial": setting.number,
                "mean": {m: s.mean for m in SHOWN if (s := setting.spread(m))},
                "std": {m: s.std for m in SHOWN if (s := setting.spread(m))},
                "folds": [record.metrics for record in setting.records],
            }
            for setting in result.settings
        ],
        "unfinished": {str(number): why for number, why in result.unfinished.items()},
        "label_issues": len(result.issues),
        "scores": run.crossval.path(SCORES),
        "folds_left": result.left,
        "resume": result.resume_command if result.left else None,
    }
