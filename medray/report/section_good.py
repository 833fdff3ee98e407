"""How good is it: what the test split said, as `medray evaluate` has stored it. Nothing here reads that split."""

from collections.abc import Mapping, Sequence
from typing import Any

from medray.console_tables import METRIC_TITLES, interval, metric_title, number, p_value
from medray.evaluate.print_evaluation import BY_CLASS, RATES
from medray.report.blocks import Block, Matrix, Table, Text, missing, when
from medray.report.evidence import Evidence
from medray.report.figures_answers import models_chart
from medray.report.figures_roc import roc_chart


def lead(found: Evidence) -> list[Block]:
    """The one figure, how often the split was read, and what makes it worth less."""
    scores = found.scores
    if scores is None:
        return _without_figures(found)
    first = scores["models"][0]
    of = f" of {scores['patients']} patients" if scores["patients"] else ""
    said: list[Block] = [
        Text(
            f"On {scores['images']} test images{of} the {first['name']} has {metric_title(found.metric)} "
            f"{interval(first['scores'][found.metric])} and accuracy "
            f"{interval(first['scores']['accuracy'])} (95 % intervals). The test split has been read "
            f"{_times(found)}; these figures are of {when(scores['time'])}."
        )
    ]
    if len(found.readings) > 1:
        said.append(Text("A split that was looked at again is worth less each time.", "warning"))
    if not found.is_current:
        said.append(Text("These figures are of another ensemble than the run has now.", "warning"))
    return said


def _without_figures(found: Evidence) -> list[Block]:
    evaluate = found.command("evaluate")
    if not found.readings:
        return [missing("The test split has not been read. It is read once, at the end", evaluate)]
    broken_off = f"The test split was read {_times(found)}, but no reading came to its end."
    return [Text(broken_off, "warning"), missing("To read it again, which is counted", f"{evaluate} --again")]


def _times(found: Evidence) -> str:
    count = len(found.readings)
    return "once" if count == 1 else f"{count} times"


def scores_of_models(found: Evidence) -> list[Block]:
    """Every model with its intervals, and the comparisons."""
    scores = found.scores
    if scores is None:
        return []
    drawn = "patients" if scores["patients"] else "images"
    metrics = list(dict.fromkeys([found.metric, *METRIC_TITLES]))
    rows = [
        [_model(model), *(interval(model["scores"][metric]) for metric in metrics)] for model in scores["models"]
    ]
    caption = f"All models on the test split; 95 % intervals from {scores['resamples']} resamples of {drawn}"
    head = ["model", *map(metric_title, metrics)]
    return [models_chart(scores, found.metric), Table(caption, head, rows), *_comparisons(scores["comparisons"])]


def _model(model: Mapping[str, Any]) -> str:
    return str(model["name"]) + (f" ({model['networks']} networks)" if model["networks"] > 1 else "")


def _comparisons(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not rows:
        return []
    shown = [
        [
            row["other"], metric_title(row["metric"]),
            interval({"value": row["difference"], "low": row["low"], "high": row["high"]}, sign=True),
            p_value(row["p"]), p_value(row["mcnemar_p"]), row["verdict"],
        ]
        for row in rows
    ]  # fmt: skip
    others = len({row["other"] for row in rows})
    caption = f"The ensemble less each other model; p is two-sided and not corrected for {others} comparisons"
    head = ["other model", "metric", "difference", "p", "McNemar p", "the ensemble is"]
    return [Table(caption, head, shown, frozenset({1, 5}), folded=True)]


def decisions(found: Evidence) -> list[Block]:
    """ROC curve, operating points, and sets: what they promised and what they did."""
    scores, tested = found.scores, found.tested
    if scores is None or tested is None:
        return []
    points = [{**point, "rates": point["test"]} for point in scores["operating_points"]]
    blocks: list[Block] = []
    chart = roc_chart(tested, scores["class_names"], points)
    if chart is not None:
        blocks.append(chart)
    if scores["operating_points"]:
        blocks.append(_points(scores["operating_points"]))
    else:
        blocks.append(missing("No operating point was set; before the split is read one can be, by",
                              found.command("ensemble") + " --sensitivity 0.95 --positive CLASS"))  # fmt: skip
    if scores["conformal_sets"]:
        blocks.append(_sets(scores["conformal_sets"], len(scores["class_names"])))
    return blocks


def _points(points: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for point in points:
        name = f"{point['name']}: {point['positive']} from {point['threshold']:.4f}"
        for where, rates in ((f"set on {point['set_on']}", point["rates"]), ("test", point["test"])):
            rows.append([name, where, *(interval(rates[key]) for key in RATES)])
    caption = "Operating points, where they were set and on the test split; exact 95 % intervals"
    return Table(caption, ["point", "images", *RATES.values()], rows, frozenset({1}))


def _sets(sets: Sequence[Mapping[str, Any]], classes: int) -> Table:
    rows = [
        [
            f"{own['coverage']:.4g}", interval(own["test"]["covered"]), f"{own['test']['mean_size']:.2f}",
            number(own["test"]["singletons"]["value"]), number(own["test"]["not_sure"]["value"]),
        ]
        for own in sets
    ]  # fmt: skip
    head = ["promised", "hold the true class", "classes in a set", "share of one class", "share of all classes"]
    return Table(f"Conformal sets of {classes} classes on the test split", head, rows)


def classes(found: Evidence) -> list[Block]:
    """Confusion matrix, each class, each subgroup."""
    scores = found.scores
    if scores is None:
        return []
    names = scores["class_names"]
    caption = f"The ensemble on {scores['images']} test images: true class by row, predicted by column"
    rows = [
        [row["name"], str(row["images"]), *(number(row[key]) for key in BY_CLASS)] for row in scores["per_class"]
    ]
    head = ["class", "images", *BY_CLASS.values()]
    return [
        Matrix("confusion-test", caption, names, scores["confusion_matrix"]),
        Table("The ensemble by class, each against the rest, on the test split", head, rows),
        *(_subgroup(name, own) for name, own in scores["subgroups"].items()),
    ]


def _subgroup(name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    shown = [
        [row["value"], str(row["images"]), interval(row["accuracy"]), interval(row["auc"]), row["flag"] or ""]
        for row in rows
    ]
    head = [name, "images", "accuracy", "AUC", ""]
    return Table(f"The ensemble by {name}, on the test split", head, shown, frozenset({4}))


def published(found: Evidence) -> list[Block]:
    """A report's figures beside those here; nothing where the search space names none."""
    from medray.evaluate.print_published import cells, notes_of

    space = found.seen.space
    if space is None or space.published is None:
        return []
    beside = found.published
    if beside is None:
        return [missing("A report's figures are laid beside those here by", found.command("evaluate"))]
    source = f"Published: {beside['report']}; its data: {beside['data']}. Here: {beside['here']}."
    blocks: list[Block] = [Text(source)]
    if beside["warning"]:
        blocks.append(Text(beside["warning"], "warning" if beside["comparable"] is False else "note"))
    if beside["note"]:
        blocks.append(Text(f"{beside['note']}.", "note"))
    for table in beside["tables"]:
        title, columns = cells(table, beside["positive"])
        notes = notes_of(table)
        head = ["model", *(name.replace("\n", ", ") for name, _ in columns), *([""] if any(notes) else [])]
        own = [own_cells for _, own_cells in columns] + ([notes] if any(notes) else [])
        rows = [[row["name"], *rest] for row, *rest in zip(table["rows"], *own, strict=True)]
        words = frozenset({len(head) - 1}) if any(notes) else frozenset[int]()
        blocks.append(Table(title, head, rows, words))
    return blocks
