"""Print the result of `medray evaluate`, as text or as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from medray.console import say
from medray.console_tables import (
    Columns,
    fits,
    interval,
    metric_caveat,
    metric_title,
    number,
    p_value,
    print_table,
)
from medray.evaluate.cut_scores import cut_columns
from medray.evaluate.label_tables import CLASSES_TITLE, RATE_TITLES, labels_without_auc, tables_of_labels
from medray.evaluate.print_published import print_published
from medray.evaluate.print_reviewed import at_prevalence, print_prevalences, print_reviewed
from medray.evaluate.print_subgroups import print_subgroups
from medray.evaluate.run_evaluation import Evaluation
from medray.evaluate.scores_document import ModelScores, Scores
from medray.evaluate.without_copies import without_copies_line
from medray.stats.bootstrap import Estimate
from medray.stats.class_scores import ClassScores
from medray.stats.rates import Proportion
from medray.stats.score_names import MODES
from medray.tasks import TASKS
from medray.text import plural

CLASS_TITLES = {
    "precision": "precision", "recall": "sensitivity", "specificity": "specificity", "f1": "F1", "auc": "AUC",
}  # fmt: skip

LEVELS_TITLE = "The ensemble by case, as it is used, and the same networks by image"
CUTS_TITLE = "The ensemble by cut, each grade and above against those below; 95 % intervals"


def print_result(result: Evaluation, console: Console, prevalences: Sequence[float] = ()) -> None:
    """Print models with intervals, comparisons, points, sets, classes, subgroups and a report's figures."""
    scores = result.scores
    if result.stored:
        say(console, f"From the store: the test split was read on {scores.time}, and is not read again.")
    _print_models(console, scores)
    _print_comparisons(console, scores)
    label_sets = TASKS[scores.task].label_sets
    if label_sets:
        _print_labels(console, scores)
    else:
        _print_decisions(console, scores)
    columns: Columns = [(f"{scores.unit}s", [str(row.images) for row in scores.per_class])]
    columns += [
        (title, [class_figure(row, key) for row in scores.per_class]) for key, title in CLASS_TITLES.items()
    ]
    title = CLASSES_TITLE if label_sets else "The ensemble by class, each against the rest; 95 % intervals"
    print_table(console, title, scores.class_names, columns, "label" if label_sets else "class")
    if scores.cuts:
        _print_cuts(console, scores)
    if not label_sets:
        _print_confusion(console, scores)
    print_reviewed(console, scores.reviewed, scores.unit)
    print_prevalences(console, scores, prevalences)
    print_subgroups(console, scores)
    if result.published is not None:
        print_published(console, result.published)
    for leak in scores.leaks:
        console.print()
        say(console, f"LEAK in the data, so these figures may be too good: {leak}")
    if scores.without_copies is not None:
        say(console, without_copies_line(scores.without_copies))
    console.print()
    say(console, f"{result.reads.sentence} Figures: {result.read.folder.location}")
    if not result.stored and result.run.report.exists(result.run.REPORT):
        say(console, f"The report is from before; with these figures: medray report {result.run.location}")


def class_figure(row: ClassScores, key: str) -> str:
    """Return a figure of a class as a table shows it, with its interval where it has one."""
    figure: float | Proportion | Estimate = getattr(row, key)
    return number(figure) if isinstance(figure, float) else interval(figure)


def without_interval(figures: Iterable[tuple[str, Estimate | Proportion]]) -> list[str]:
    """Return a line for each reason why some of the titled figures have no interval."""
    titles: dict[str, list[str]] = {}
    for title, figure in figures:
        if figure.reason:
            titles.setdefault(figure.reason, []).append(title)
    return [f"No interval of {', '.join(dict.fromkeys(names))}: {reason}." for reason, names in titles.items()]


def model_title(model: ModelScores) -> str:
    """Return a model's name with the number of its networks, where they are several."""
    return model.name + (f" ({model.networks} networks)" if model.networks > 1 else "")


def models_without_interval(scores: Scores) -> list[str]:
    """Return why figures of the models' table have no interval, a line for each reason."""
    return without_interval(
        (metric_title(metric), model.scores[metric]) for model in scores.models for metric in _shown(scores)
    )


def _shown(scores: Scores) -> list[str]:
    return TASKS[scores.task].table_metrics(scores.metric, calibration=True)


def _print_models(console: Console, scores: Scores) -> None:
    columns = [
        (metric_title(metric), [interval(model.scores[metric]) for model in scores.models])
        for metric in _shown(scores)
    ]
    title = f"{scores.sample}; 95 % intervals by {scores.resampled}"
    print_table(console, title, list(map(model_title, scores.models)), columns, "model")
    for line in [metric_caveat(scores.metric), *models_without_interval(scores)]:
        if line:
            say(console, line)
    if levels := level_rows(scores):
        columns = [
            (metric_title(name), [interval(row[name]) for row in levels.values()]) for name in _shown(scores)
        ]
        print_table(console, LEVELS_TITLE, list(levels), columns, "answers")


def level_rows(scores: Scores) -> dict[str, dict[str, Estimate]]:
    """Return the ensemble's scores by case and by image, by what they are of; none where there are no cases."""
    if scores.cases is None or not scores.cases.by_image:
        return {}
    return {
        plural(scores.answered, "case"): scores.models[0].scores,
        plural(scores.images, "image"): scores.cases.by_image,
    }


def _print_comparisons(console: Console, scores: Scores) -> None:
    for metric in dict.fromkeys(comparison.metric for comparison in scores.comparisons):
        rows = [comparison for comparison in scores.comparisons if comparison.metric == metric]
        more = "more" if MODES[metric] == "max" else "less"
        columns = [("difference", [interval(row, sign=True) for row in rows])]
        columns.append((f"p ({rows[0].test})", [p_value(row.p) for row in rows]))
        columns.append(("p adjusted", [p_value(row.adjusted_p) + (" *" if row.primary else "") for row in rows]))
        columns.append(("p (bootstrap)", [p_value(row.bootstrap_p) for row in rows]))
        columns.append(("the ensemble is", [row.verdict for row in rows]))
        title = f"{metric_title(metric)} of the ensemble less that of each other model ({more} is better)"
        print_table(console, title, [row.other for row in rows], columns, "model")
    if scores.comparisons:
        say(console, family_line(scores))


def family_line(scores: Scores) -> str:
    """Return how the p-values of the comparisons are adjusted."""
    family = sum(not row.primary for row in scores.comparisons)
    primary = next((row for row in scores.comparisons if row.primary), None)
    rest = f"The verdicts on {plural(family, 'comparison')} are by p adjusted for all of them (Holm)"
    if primary is None:
        return f"{rest}."
    other, metric = primary.other, metric_title(primary.metric)
    return f"{rest}. That with {other} by {metric} (*) was named beforehand and stands alone."


def _print_labels(console: Console, scores: Scores) -> None:
    """Print the operating points, sets and counts of each label, and which labels the test split can't tell."""
    if lacking := labels_without_auc(scores):
        say(console, f"No AUC on test, so in no mean: {', '.join(lacking)}.")
    for title, labels, columns in tables_of_labels(scores):
        print_table(console, title, labels, columns, "label")


def _print_decisions(console: Console, scores: Scores) -> None:
    """Print the rates of operating points where they were set and on the test images, and the conformal sets."""
    for point in scores.operating_points:
        both = (point.rates, point.test)
        columns: Columns = [(f"{scores.unit}s", [str(rates.images) for rates in both])]
        columns += [
            (title, [interval(getattr(rates, key)) for rates in both]) for key, title in RATE_TITLES.items()
        ]
        title = f"Operating point {point.name}: '{point.positive}' from a probability of {point.threshold:.4f}"
        print_table(console, title, [f"set on {point.set_on}", "test"], columns)
    if scores.conformal_sets:
        tests = [sets.test for sets in scores.conformal_sets]
        columns = [
            ("hold the true class", [interval(test.covered) for test in tests]),
            ("classes in a set", [f"{test.mean_size:.2f}" for test in tests]),
            ("one class", [f"{test.singletons.value:.1%}" for test in tests]),
            ("all (not sure)", [f"{test.not_sure.value:.1%}" for test in tests]),
        ]
        title = f"Conformal sets of the {len(scores.class_names)} classes, by coverage; {sets_promise(scores)}"
        print_table(
            console, title, [f"{sets.coverage:.4g}" for sets in scores.conformal_sets], columns, "coverage"
        )
    rates = [
        (f"{title} ({point.name})", getattr(point.test, key))
        for point in scores.operating_points
        for key, title in RATE_TITLES.items()
    ]
    for line in without_interval([*rates, *(("sets", sets.test.covered) for sets in scores.conformal_sets)]):
        say(console, line)


def _print_cuts(console: Console, scores: Scores) -> None:
    rated = [(point, point.test) for point in scores.operating_points]
    labels = [cut.event.name for cut in scores.cuts]
    print_table(console, CUTS_TITLE, labels, cut_columns(scores.cuts, rated, scores.unit), "cut")
    for line in without_interval((f"the AUC of {cut.event.name}", cut.auc) for cut in scores.cuts):
        say(console, line)


def sets_promise(scores: Scores) -> str:
    """Return whether the coverage of the conformal sets is promised."""
    if all(sets.promised for sets in scores.conformal_sets):
        return f"new {scores.unit}s have it on average"
    return f"nothing is promised: the {scores.unit}s that set them also selected the networks"


def _print_confusion(console: Console, scores: Scores) -> None:
    """Print the confusion matrix in one piece: classes are numbered where their names don't fit."""
    names = list(scores.class_names)
    counts = [list(map(str, column)) for column in zip(*scores.confusion_matrix, strict=True)]
    labels, titles = names, names
    if not fits(console, labels, list(zip(titles, counts, strict=True))):
        titles = list(map(str, range(len(names))))
        labels = [f"{i} {name}" for i, name in enumerate(names)]
    columns = list(zip(titles, counts, strict=True))
    if not fits(console, labels, columns):
        say(console, f"\nThe confusion matrix of {len(names)} classes is too wide to print; scores.json holds it.")
        return
    title = f"The ensemble's confusion matrix, in {scores.unit}s: true class by row, predicted by column"
    print_table(console, title, labels, columns)


def to_json(result: Evaluation, prevalences: Sequence[float] = ()) -> dict[str, Any]:
    """Return the result as plain values that JSON can hold, with PPV and NPV at each of the `prevalences`."""
    at_prevalences = [
        {"point": point.name, "positive": point.positive, **values.to_dict()}
        for prevalence in prevalences
        for point, values in at_prevalence(result.scores, prevalence)
    ]
    return {
        "run": result.run.location,
        "from_store": result.stored,
        "times_read": result.reads.total,
        "times_read_by_run": result.reads.by_run,
        "other_reads": [read.to_dict() for read in result.reads.others],
        **result.scores.to_dict(),
        "at_prevalences": at_prevalences,
        "published": None if result.published is None else result.published.to_dict(),
    }
