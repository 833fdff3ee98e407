"""What `medray evaluate` prints, for people and for programs."""

from typing import Any

from rich.console import Console
from rich.table import Table

from medray.evaluate.driver import Evaluation
from medray.terminal import say

SHOWN = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced acc.",
    "f1_macro": "F1 macro",
    "log_loss": "log loss",
    "calibration_error": "calibr. error",
}


def print_result(result: Evaluation, console: Console) -> None:
    """Print every model with its intervals, comparisons, operating points, sets and classes."""
    figures = result.figures
    if result.stored:
        say(console, f"From the store: the test split was read on {figures['time']}, and is not read again.")
    units = f"{figures['images']} test images"
    if figures["patients"]:
        units += f" of {figures['patients']} patients"
    say(console, f"{units}; intervals are of 95 %, from {figures['resamples']} bootstrap resamples")
    console.print(_models(figures))
    console.print(_comparisons(figures))
    for point in figures["operating_points"]:
        _say_point(console, point)
    for sets in figures["conformal_sets"]:
        _say_sets(console, sets, len(figures["class_names"]))
    console.print(_classes(figures))
    console.print(_confusion(figures))
    for name, rows in figures["subgroups"].items():
        console.print(_subgroup(name, rows))
    times = "once" if result.count == 1 else f"{result.count} times"
    say(console, f"The test split of this run has been read {times}. Figures: {result.run.path('evaluation')}")


def _interval(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "–"
    if estimate["low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold", title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=True)
    return table


def _models(figures: dict[str, Any]) -> Table:
    table = _table("", "model", "networks", *SHOWN.values())
    for model in figures["models"]:
        shown = [_interval(model["scores"][metric]) for metric in SHOWN]
        table.add_row(model["name"], str(model["networks"]), *shown)
    return table


def _comparisons(figures: dict[str, Any]) -> Table:
    table = _table("\nThe ensemble against", "model", "metric", "difference", "p", "McNemar p", "the ensemble is")
    for row in figures["comparisons"]:
        difference = {"value": row["difference"], "low": row["low"], "high": row["high"]}
        p = "–" if row["p"] is None else f"{row['p']:.3f}"
        mcnemar = f"{row['mcnemar_p']:.3f}" if row["metric"] == "accuracy" else ""
        table.add_row(row["other"], row["metric"], _interval(difference), p, mcnemar, row["verdict"])
    return table


def _say_point(console: Console, point: dict[str, Any]) -> None:
    """Print what an operating point promised, and what it did here."""
    table = _table(
        f"\nOperating point '{point['name']}': {point['positive']} from a probability of {point['threshold']:.4f}",
        "", "images", "sensitivity", "specificity", "PPV", "NPV",
    )  # fmt: skip
    for where, rates in ((f"set on {point['set_on']}", point["rates"]), ("on test", point["test"])):
        images = sum(rates[k] for k in ("tp", "fp", "tn", "fn"))
        names = ("sensitivity", "specificity", "ppv", "npv")
        table.add_row(where, str(images), *(_interval(rates[name]) for name in names))
    console.print(table)


def _say_sets(console: Console, sets: dict[str, Any], classes: int) -> None:
    test = sets["test"]
    say(
        console,
        f"Sets at {sets['coverage']:.0%} coverage: {_interval(test['covered'])} hold the true class; of "
        f"{classes} classes {test['mean_size']:.2f} are in a set; {test['singletons']['value']:.1%} name one, "
        f"{test['not_sure']['value']:.1%} say not sure",
    )


def _classes(figures: dict[str, Any]) -> Table:
    table = _table("\nBy class", "class", "images", "precision", "sensitivity", "specificity", "F1", "AUC")
    for row in figures["per_class"]:
        names = ("precision", "recall", "specificity", "f1", "auc")
        shown = ["–" if row[name] is None else f"{row[name]:.3f}" for name in names]
        table.add_row(row["name"], str(row["images"]), *shown)
    return table


def _confusion(figures: dict[str, Any]) -> Table:
    names = figures["class_names"]
    table = _table("\nTrue class by row, predicted by column", "", *(name[:12] for name in names))
    for name, row in zip(names, figures["confusion_matrix"], strict=True):
        table.add_row(name, *map(str, row))
    return table


def _subgroup(name: str, rows: list[dict[str, Any]]) -> Table:
    table = _table(f"\nBy {name}", name, "images", "accuracy", "AUC", "")
    for row in rows:
        shown = [_interval(row[key]) for key in ("accuracy", "auc")]
        table.add_row(row["value"], str(row["images"]), *shown, row["flag"] or "")
    return table


def to_json(result: Evaluation) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "run": result.run.location,
        "from_store": result.stored,
        "times_read": result.count,
        **result.figures,
    }
