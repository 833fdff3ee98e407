"""What `medray evaluate` prints, for people and for programs; tables are laid out for the console's width."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from medray.evaluate.driver import Evaluation
from medray.evaluate.scores import MODES
from medray.terminal import say

SHOWN = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced acc.",
    "f1_macro": "F1 macro",
    "log_loss": "log loss",
    "calibration_error": "calibr. error",
}
RATES = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}
BY_CLASS = {
    "precision": "precision", "recall": "sensitivity", "specificity": "specificity", "f1": "F1", "auc": "AUC",
}  # fmt: skip
LABEL = 24  # how narrow the first column may become before a table is printed in parts

Columns = list[tuple[str, list[str]]]


def print_result(result: Evaluation, console: Console) -> None:
    """Print every model with its intervals, comparisons, operating points, sets, classes and subgroups."""
    figures = result.figures
    if result.stored:
        say(console, f"From the store: the test split was read on {figures['time']}, and is not read again.")
    _print_models(console, figures)
    _print_comparisons(console, figures)
    for point in figures["operating_points"]:
        _print_point(console, point)
    _print_sets(console, figures)
    if figures["patients"] and (figures["operating_points"] or figures["conformal_sets"]):
        say(console, "The intervals of points and sets take images, not patients, to be independent.")
    _print_classes(console, figures)
    _print_confusion(console, figures)
    for name, rows in figures["subgroups"].items():
        _print_subgroup(console, name, rows)
    for leak in figures["leaks"]:
        console.print()
        say(console, f"LEAK in the data, so these figures may be too good: {leak}")
    times = "once" if result.count == 1 else f"{result.count} times"
    console.print()
    say(console, f"The test split of this run has been read {times}. Figures: {result.reading.folder.location}")


def _number(value: float | None, *, sign: bool = False) -> str:
    """A figure in three places, as -0.003 and never as -0.000; a dash where it is not defined."""
    if value is None:
        return "–"
    return f"{round(value, 3) + 0.0:{'+' if sign else ''}.3f}"


def _interval(estimate: Mapping[str, Any], *, sign: bool = False) -> str:
    """A figure with its interval, as 0.952 [0.901, 0.982]."""
    value = _number(estimate["value"], sign=sign)
    if estimate["value"] is None or estimate["low"] is None:
        return value
    return f"{value} [{_number(estimate['low'], sign=sign)}, {_number(estimate['high'], sign=sign)}]"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _metric(name: str) -> str:
    return SHOWN.get(name, name.replace("_", " "))


def _print(console: Console, title: str, labels: Sequence[str], columns: Columns, head: str = "") -> None:
    """Print a table; where its columns don't fit side by side, in parts of the same rows."""
    console.print()
    say(console, title)
    longest = max(map(cell_len, [head, *labels]))
    for part in _parts(columns, console.width - min(longest, LABEL) - 2):
        table = Table(box=None, padding=(0, 1), header_style="bold")
        table.add_column(Text(head), overflow="fold")
        for name, cells in part:
            table.add_column(Text(name), justify="right", no_wrap=True, min_width=max(map(cell_len, cells)))
        for label, *row in zip(labels, *(cells for _, cells in part), strict=True):
            table.add_row(Text(label), *map(Text, row))  # plain text: a class may be called "[red]"
        console.print(table)


def _parts(columns: Columns, width: int) -> list[Columns]:
    """Share columns out over as few parts of at most `width` cells as will do, about as many in each."""
    widths = [max(map(cell_len, [name, *cells])) + 2 for name, cells in columns]
    parts, room = 1, width
    for own in widths:
        if own > room and room < width:
            parts, room = parts + 1, width
        room -= own
    size = -(-len(columns) // parts)
    while size > 1 and any(sum(widths[i : i + size]) > width for i in range(0, len(columns), size)):
        size -= 1
    return [columns[i : i + size] for i in range(0, len(columns), size)]


def _print_models(console: Console, figures: Mapping[str, Any]) -> None:
    units = f"{figures['images']} test images"
    if figures["patients"]:
        units += f" of {figures['patients']} patients"
    drawn = "patients" if figures["patients"] else "images"
    models = figures["models"]
    labels = [m["name"] + (f" ({m['networks']} networks)" if m["networks"] > 1 else "") for m in models]
    columns = [
        (_metric(metric), [_interval(model["scores"][metric]) for model in models])
        for metric in dict.fromkeys([figures["metric"], *SHOWN])
    ]
    title = f"{units}; 95 % intervals, from {figures['resamples']} resamples of {drawn}"
    _print(console, title, labels, columns, "model")


def _print_comparisons(console: Console, figures: Mapping[str, Any]) -> None:
    rows = figures["comparisons"]
    for metric in dict.fromkeys(row["metric"] for row in rows):
        own = [row for row in rows if row["metric"] == metric]
        more = "more" if MODES[metric] == "max" else "less"
        intervals = [
            {"value": row["difference"], "low": row["low"], "high": row["high"]} for row in own
        ]  # fmt: skip
        columns = [("difference", [_interval(interval, sign=True) for interval in intervals])]
        columns.append(("p", [_p(row["p"]) for row in own]))
        if any(row["mcnemar_p"] is not None for row in own):
            columns.append(("McNemar p", [_p(row["mcnemar_p"]) for row in own]))
        columns.append(("the ensemble is", [row["verdict"] for row in own]))
        title = f"{_metric(metric)} of the ensemble less that of each other model ({more} is better)"
        _print(console, title, [row["other"] for row in own], columns, "model")
    if rows:
        others = len({row["other"] for row in rows})
        say(console, f"p: two-sided, by the same resamples; not corrected for {others} comparisons.")


def _print_point(console: Console, point: Mapping[str, Any]) -> None:
    """Print what an operating point promised, and what it did here."""
    both = (point["rates"], point["test"])
    columns: Columns = [("images", [str(sum(r[k] for k in ("tp", "fp", "tn", "fn"))) for r in both])]
    columns += [(title, [_interval(rates[name]) for rates in both]) for name, title in RATES.items()]
    title = (
        f"Operating point {point['name']}: '{point['positive']}' from a probability of {point['threshold']:.4f}"
    )
    _print(console, title, [f"set on {point['set_on']}", "test"], columns)


def _print_sets(console: Console, figures: Mapping[str, Any]) -> None:
    if not figures["conformal_sets"]:
        return
    tests = [(sets["coverage"], sets["test"]) for sets in figures["conformal_sets"]]
    columns: Columns = [
        ("hold the true class", [_interval(test["covered"]) for _, test in tests]),
        ("classes in a set", [f"{test['mean_size']:.2f}" for _, test in tests]),
        ("one class", [f"{test['singletons']['value']:.1%}" for _, test in tests]),
        ("all (not sure)", [f"{test['not_sure']['value']:.1%}" for _, test in tests]),
    ]
    title = f"Conformal sets of the {len(figures['class_names'])} classes, by the coverage that was promised"
    _print(console, title, [f"{coverage:.4g}" for coverage, _ in tests], columns, "promised")


def _print_classes(console: Console, figures: Mapping[str, Any]) -> None:
    rows = figures["per_class"]
    columns: Columns = [("images", [str(row["images"]) for row in rows])]
    columns += [(title, [_number(row[name]) for row in rows]) for name, title in BY_CLASS.items()]
    _print(
        console, "The ensemble by class, each against the rest", [row["name"] for row in rows], columns, "class"
    )


def _print_confusion(console: Console, figures: Mapping[str, Any]) -> None:
    """Print the confusion matrix in one piece: classes are numbered where their names don't fit."""
    names, matrix = figures["class_names"], figures["confusion_matrix"]
    counts = [list(map(str, column)) for column in zip(*matrix, strict=True)]
    labels, heads = list(names), list(names)
    if len(_parts(list(zip(heads, counts, strict=True)), _room(console, labels))) > 1:
        heads = [str(number) for number in range(len(names))]
        labels = [f"{number} {name}" for number, name in enumerate(names)]
    columns = list(zip(heads, counts, strict=True))
    if len(_parts(columns, _room(console, labels))) > 1:
        say(console, f"\nThe confusion matrix of {len(names)} classes is too wide to print; scores.json holds it.")
        return
    title = "The ensemble's confusion matrix, in images: true class by row, predicted by column"
    _print(console, title, labels, columns)


def _room(console: Console, labels: Sequence[str]) -> int:
    return console.width - min(max(map(cell_len, labels)), LABEL) - 2


def _print_subgroup(console: Console, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    columns: Columns = [("images", [str(row["images"]) for row in rows])]
    columns += [(_metric(key), [_interval(row[key]) for row in rows]) for key in ("accuracy", "auc")]
    columns.append(("", [row["flag"] or "" for row in rows]))
    _print(console, f"The ensemble by {name}", [row["value"] for row in rows], columns, name)


def to_json(result: Evaluation) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "run": result.run.location,
        "from_store": result.stored,
        "times_read": result.count,
        **result.figures,
    }
