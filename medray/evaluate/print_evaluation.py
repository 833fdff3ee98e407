"""What `medray evaluate` prints, for people and for programs; tables are laid out for the console's width."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from medray.console import say
from medray.evaluate.console_tables import (
    SHOWN,
    Columns,
    fits,
    interval,
    metric_title,
    number,
    p_value,
    print_table,
)
from medray.evaluate.print_published import print_published
from medray.evaluate.run_evaluation import Evaluation
from medray.stats.scores import MODES

RATES = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}
BY_CLASS = {
    "precision": "precision", "recall": "sensitivity", "specificity": "specificity", "f1": "F1", "auc": "AUC",
}  # fmt: skip


def print_result(result: Evaluation, console: Console) -> None:
    """Print models with intervals, comparisons, points, sets, classes, subgroups and a report's figures."""
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
    if result.published is not None:
        print_published(console, result.published)
    for leak in figures["leaks"]:
        console.print()
        say(console, f"LEAK in the data, so these figures may be too good: {leak}")
    times = "once" if result.count == 1 else f"{result.count} times"
    console.print()
    say(console, f"The test split of this run has been read {times}. Figures: {result.reading.folder.location}")


def _print_models(console: Console, figures: Mapping[str, Any]) -> None:
    units = f"{figures['images']} test images"
    if figures["patients"]:
        units += f" of {figures['patients']} patients"
    drawn = "patients" if figures["patients"] else "images"
    models = figures["models"]
    labels = [m["name"] + (f" ({m['networks']} networks)" if m["networks"] > 1 else "") for m in models]
    columns = [
        (metric_title(metric), [interval(model["scores"][metric]) for model in models])
        for metric in dict.fromkeys([figures["metric"], *SHOWN])
    ]
    title = f"{units}; 95 % intervals, from {figures['resamples']} resamples of {drawn}"
    print_table(console, title, labels, columns, "model")


def _print_comparisons(console: Console, figures: Mapping[str, Any]) -> None:
    rows = figures["comparisons"]
    for metric in dict.fromkeys(row["metric"] for row in rows):
        own = [row for row in rows if row["metric"] == metric]
        more = "more" if MODES[metric] == "max" else "less"
        differences = [{"value": row["difference"], "low": row["low"], "high": row["high"]} for row in own]
        columns = [("difference", [interval(difference, sign=True) for difference in differences])]
        columns.append(("p", [p_value(row["p"]) for row in own]))
        if any(row["mcnemar_p"] is not None for row in own):
            columns.append(("McNemar p", [p_value(row["mcnemar_p"]) for row in own]))
        columns.append(("the ensemble is", [row["verdict"] for row in own]))
        title = f"{metric_title(metric)} of the ensemble less that of each other model ({more} is better)"
        print_table(console, title, [row["other"] for row in own], columns, "model")
    if rows:
        others = len({row["other"] for row in rows})
        say(console, f"p: two-sided, by the same resamples; not corrected for {others} comparisons.")


def _print_point(console: Console, point: Mapping[str, Any]) -> None:
    """Print what an operating point promised, and what it did here."""
    both = (point["rates"], point["test"])
    columns: Columns = [("images", [str(sum(r[k] for k in ("tp", "fp", "tn", "fn"))) for r in both])]
    columns += [(title, [interval(rates[name]) for rates in both]) for name, title in RATES.items()]
    title = (
        f"Operating point {point['name']}: '{point['positive']}' from a probability of {point['threshold']:.4f}"
    )
    print_table(console, title, [f"set on {point['set_on']}", "test"], columns)


def _print_sets(console: Console, figures: Mapping[str, Any]) -> None:
    if not figures["conformal_sets"]:
        return
    tests = [(sets["coverage"], sets["test"]) for sets in figures["conformal_sets"]]
    columns: Columns = [
        ("hold the true class", [interval(test["covered"]) for _, test in tests]),
        ("classes in a set", [f"{test['mean_size']:.2f}" for _, test in tests]),
        ("one class", [f"{test['singletons']['value']:.1%}" for _, test in tests]),
        ("all (not sure)", [f"{test['not_sure']['value']:.1%}" for _, test in tests]),
    ]
    title = f"Conformal sets of the {len(figures['class_names'])} classes, by the coverage that was promised"
    print_table(console, title, [f"{coverage:.4g}" for coverage, _ in tests], columns, "promised")


def _print_classes(console: Console, figures: Mapping[str, Any]) -> None:
    rows = figures["per_class"]
    columns: Columns = [("images", [str(row["images"]) for row in rows])]
    columns += [(title, [number(row[name]) for row in rows]) for name, title in BY_CLASS.items()]
    print_table(
        console, "The ensemble by class, each against the rest", [row["name"] for row in rows], columns, "class"
    )


def _print_confusion(console: Console, figures: Mapping[str, Any]) -> None:
    """Print the confusion matrix in one piece: classes are numbered where their names don't fit."""
    names, matrix = figures["class_names"], figures["confusion_matrix"]
    counts = [list(map(str, column)) for column in zip(*matrix, strict=True)]
    labels, heads = list(names), list(names)
    if not fits(console, labels, list(zip(heads, counts, strict=True))):
        heads = [str(number) for number in range(len(names))]
        labels = [f"{number} {name}" for number, name in enumerate(names)]
    columns = list(zip(heads, counts, strict=True))
    if not fits(console, labels, columns):
        say(console, f"\nThe confusion matrix of {len(names)} classes is too wide to print; scores.json holds it.")
        return
    title = "The ensemble's confusion matrix, in images: true class by row, predicted by column"
    print_table(console, title, labels, columns)


def _print_subgroup(console: Console, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    columns: Columns = [("images", [str(row["images"]) for row in rows])]
    columns += [(metric_title(key), [interval(row[key]) for row in rows]) for key in ("accuracy", "auc")]
    columns.append(("", [row["flag"] or "" for row in rows]))
    print_table(console, f"The ensemble by {name}", [row["value"] for row in rows], columns, name)


def to_json(result: Evaluation) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "run": result.run.location,
        "from_store": result.stored,
        "times_read": result.count,
        **result.figures,
        "published": result.published,
    }
