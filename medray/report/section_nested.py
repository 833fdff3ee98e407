"""What the procedure is worth: the nested cross-validation's scores beside those that a search gives itself."""

from medray.console_tables import metric_title, number, number_with_sd
from medray.report.blocks import Block, Table, Text, missing
from medray.report.evidence import Evidence
from medray.runs.fold_results import MeanStd
from medray.runs.nested_results import read_nested


def nested(evidence: Evidence) -> list[Block]:
    """Return the scores held out and on val, over the outer folds and of each."""
    scores = read_nested(evidence.run)
    if scores is None or not scores.ended:
        command = f"{evidence.command('crossval')} --nested"
        return [
            missing("The search has not been run inside folds, which would measure the whole procedure", command)
        ]
    metrics = evidence.task.table_metrics(scores.plan.metric, calibration=True)
    rows = {
        "ensemble, held out": scores.held_out,
        "ensemble, on val": scores.on_val,
        "best trial, held out": scores.best_trial,
    }
    ended, folds, metric = len(scores.ended), scores.plan.folds, scores.plan.metric
    summary = Table(
        f"Mean ± standard deviation over {ended} of {folds} outer folds",
        ["", *map(metric_title, metrics)],
        [[label, *(_cell(spread_of(name)) for name in metrics)] for label, spread_of in rows.items()],
    )
    each = Table(
        "Each outer fold",
        ["fold", "images held out", "best trial", f"{metric_title(metric)} held out", "on val"],
        [
            [
                str(fold.fold), str(fold.images), str(fold.best_trial),
                number(fold.held_out_scores.get(metric)), number(fold.val_scores.get(metric)),
            ]
            for fold in scores.ended
        ],
    )  # fmt: skip
    meaning = (
        f"Held out is what the procedure ({scores.procedure}) reaches on new images, trained on about "
        f"{1 - 1 / folds:.0%} of those that there are. On val is what a search says of itself: epoch, trials and "
        "members were selected there. ± is the spread of single folds, no interval of the mean."
    )
    return [summary, Text(meaning, "note"), each]


def _cell(spread: MeanStd | None) -> str:
    return "–" if spread is None else number_with_sd(spread.mean, spread.std)
