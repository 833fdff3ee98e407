"""The results of a cross-validation as lines for people and as JSON."""

from typing import Any

from rich.console import Console

from medray.console import say
from medray.console_tables import print_table
from medray.crossval.run_crossval import CrossvalResult
from medray.stats.case_rule import CaseRule, title_with
from medray.stats.label_noise import FLIPPED
from medray.tasks import TASKS


def table_metrics(result: CrossvalResult) -> list[str]:
    """Return the metrics to show: the one that the settings are ranked by first."""
    space = result.searched.space
    return TASKS[space.task].table_metrics(space.metric)


def case_rule(result: CrossvalResult) -> CaseRule | None:
    """Return the rule of the cases that all scores are by, None where each image is answered by itself."""
    cases = next((trial.cases for trial in result.trials), None)
    return None if cases is None else cases.rule


def print_crossval_result(result: CrossvalResult, console: Console, *, hints: bool = True) -> None:
    """Print mean ± standard deviation over folds, the doubtful labels, and the paths of all files.

    With `hints` the command that comes next is named.
    """
    run = result.searched.run
    if result.trials:
        _print_trials(result, console)
    if result.gain is not None:
        say(console, result.gain.line)
    for number, reason in result.unfinished.items():
        say(console, f"trial {number} is not finished: {reason}")
    if result.trials:
        say(
            console,
            "Each fold's epoch was selected on the images it holds out: expect a little less on new ones, in "
            "simulations 0.00 to 0.07 of AUC, the more the fewer images.",
        )
    if (doubted := result.doubted) is not None:
        images, path = len(result.folds.held_out), run.crossval.path(run.crossval.ISSUES)
        say(console, f"Doubtful labels: {len(doubted.issues)} of {images} images: {path}")
        if doubted.issues:
            say(console, f"                 look before you change one: {doubted.expectation}")
            say(console, f"                 as pictures: {run.crossval.path(run.crossval.SHEET)}")
    if result.trials:
        say(console, f"Scores: {run.crossval.path(run.crossval.SCORES)}")
    if not hints:
        return
    if result.left:
        say(console, f"{result.left} folds are left; go on with: {result.resume_command}")
    elif result.trials:
        say(console, f"Next: medray ensemble {result.searched.run.location}")


def _print_trials(result: CrossvalResult, console: Console) -> None:
    columns = [("backbone", [str(trial.records[0].settings.get("backbone", "")) for trial in result.trials])]
    for metric in table_metrics(result):
        spreads = [trial.spread(metric) for trial in result.trials]
        cells = [f"{spread.mean:.4f} ± {spread.std:.4f}" if spread else "–" for spread in spreads]
        columns.append((metric, cells))
    names = {record.number: record.baseline for record in result.searched.records}
    labels = [" ".join(filter(None, (str(trial.number), names.get(trial.number)))) for trial in result.trials]
    title = title_with(case_rule(result), f"Mean ± standard deviation over {len(result.folds)} folds")
    print_table(console, title, labels, columns, "trial")


def crossval_result_json(result: CrossvalResult) -> dict[str, Any]:
    """Return the results as plain values for JSON."""
    run, doubted = result.searched.run, result.doubted
    return {
        "run": run.location,
        "folds": {"count": len(result.folds), "kind": result.folds.kind, "images": len(result.folds.held_out)},
        "trials": [
            {
                "trial": trial.number,
                "mean": {m: s.mean for m in table_metrics(result) if (s := trial.spread(m))},
                "std": {m: s.std for m in table_metrics(result) if (s := trial.spread(m))},
                "folds": [record.metrics for record in trial.records],
            }
            for trial in result.trials
        ],
        "gain": result.gain and result.gain.to_dict(),
        "unfinished": {str(number): reason for number, reason in result.unfinished.items()},
        "cases": None if (rule := case_rule(result)) is None else rule.to_dict(),
        "label_issues": len(doubted.issues) if doubted else 0,
        "flipped_labels": {"share": FLIPPED, "first": doubted.first, "hits": doubted.hits} if doubted else None,
        "scores": run.crossval.path(run.crossval.SCORES),
        "folds_left": result.left,
        "resume": result.resume_command if result.left else None,
    }
