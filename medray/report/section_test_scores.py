"""How good is it: the scores on the test split, as `medray evaluate` has stored them; nothing here reads it."""

from medray.console_tables import interval, metric_caveat, metric_title, number, p_value
from medray.evaluate.cut_scores import cut_columns
from medray.evaluate.label_tables import CLASSES_TITLE, labels_without_auc, tables_of_labels
from medray.evaluate.print_evaluation import (
    CLASS_TITLES,
    CUTS_TITLE,
    LEVELS_TITLE,
    class_figure,
    family_line,
    level_rows,
    model_title,
    models_without_interval,
    sets_promise,
    without_interval,
)
from medray.evaluate.print_published import published_table, source_line
from medray.evaluate.print_reviewed import agreement_line
from medray.evaluate.scores_document import ReadScores, Scores
from medray.evaluate.without_copies import without_copies_line
from medray.report.blocks import Block, Matrix, Table, Text, missing, readable_time
from medray.report.evidence import Evidence
from medray.report.figures_calibration import calibration_chart
from medray.report.figures_decision import decision_chart
from medray.report.figures_models import models_chart
from medray.report.figures_risks import risks_chart
from medray.report.figures_roc import points_table, roc_chart
from medray.report.section_labels import label_decisions, label_table
from medray.tasks import TASKS
from medray.text import plural


def test_lead(evidence: Evidence) -> list[Block]:
    """Return the main score, how often the split was read, and warnings on its worth."""
    scores = evidence.scores
    if scores is None:
        evaluate = evidence.command("evaluate")
        if not evidence.reads:
            return [missing("This run has not read the test split. It is read once, at the end", evaluate)]
        interrupted = f"{evidence.read_count.sentence} No read by this run was finished."
        return [Text(interrupted, "warning"), missing("To read it again, which is counted", f"{evaluate} --again")]
    ensemble, share = scores.models[0], evidence.task.share
    blocks: list[Block] = [
        Text(
            f"On {scores.sample} the {ensemble.name} has {metric_title(evidence.metric)} "
            f"{interval(ensemble.scores[evidence.metric])} and {metric_title(share)} "
            f"{interval(ensemble.scores[share])} "
            f"(95 % intervals). {evidence.read_count.sentence} These scores are of {readable_time(scores.time)}."
        )
    ]
    if caveat := metric_caveat(evidence.metric):
        blocks.append(Text(caveat, "note"))
    if scores.without_copies is not None:
        blocks.append(Text(without_copies_line(scores.without_copies), "warning"))
    if evidence.read_count.total > 1:
        blocks.append(Text("The more often a split is read, the less its scores are worth.", "warning"))
    if not evidence.is_current:
        blocks.append(Text("These scores are of another ensemble than the run has now.", "warning"))
    return blocks


def scores_of_models(evidence: Evidence) -> list[Block]:
    """Return every model with its intervals, and the comparisons."""
    scores = evidence.scores
    if scores is None:
        return []
    metrics = evidence.task.table_metrics(evidence.metric, calibration=True)
    rows = [
        [model_title(model), *(interval(model.scores[metric]) for metric in metrics)] for model in scores.models
    ]
    caption = f"All models on the test split, by {scores.unit}; 95 % intervals by {scores.resampled}"
    blocks: list[Block] = [models_chart(scores, evidence.metric)]
    blocks.append(Table(caption, ["model", *map(metric_title, metrics)], rows))
    blocks += [Text(line) for line in models_without_interval(scores)]
    if TASKS[scores.task].label_sets and (lacking := labels_without_auc(scores)):
        blocks.append(Text(f"No AUC on the test split, so in no mean over labels: {', '.join(lacking)}."))
    if levels := level_rows(scores):
        rows = [[level, *(interval(row[metric]) for metric in metrics)] for level, row in levels.items()]
        blocks.append(Table(LEVELS_TITLE, ["answers", *map(metric_title, metrics)], rows))
    if scores.comparisons:
        rows = [
            [
                row.other, metric_title(row.metric), interval(row, sign=True), p_value(row.p), row.test,
                p_value(row.adjusted_p), p_value(row.bootstrap_p), row.verdict,
            ]
            for row in scores.comparisons
        ]  # fmt: skip
        head = [
            "other model",
            "metric",
            "difference",
            "p",
            "test",
            "p adjusted",
            "p (bootstrap)",
            "the ensemble is",
        ]
        caption = "The ensemble less each other model; p is two-sided"
        blocks.append(Table(caption, head, rows, frozenset({1, 4, 7}), folded=True))
        blocks.append(Text(family_line(scores)))
    return blocks


def decisions(evidence: Evidence) -> list[Block]:
    """Return ROC curve and probabilities by class; operating points and conformal sets where set and on test."""
    scores, predictions = evidence.scores, evidence.test_predictions
    if scores is None or predictions is None:
        return []
    points = [(point, point.test) for point in scores.operating_points]
    chart = roc_chart(predictions, TASKS[scores.task].events(scores.class_names), points)
    curves = scores.reviewed.decision_curves
    blocks: list[Block] = [chart] if chart is not None else []
    if TASKS[scores.task].label_sets:
        return [*blocks, *label_decisions(evidence, scores, predictions)]
    blocks += [
        risks_chart(predictions, scores.class_names, curve.event, scores.operating_points) for curve in curves
    ]
    if points:
        both = [
            (point, images, rates)
            for point in scores.operating_points
            for images, rates in ((f"set on {point.set_on}", point.rates), ("test", point.test))
        ]
        blocks.append(points_table("Operating points, where they were set and on the test split", both))
    else:
        command = evidence.command("ensemble") + " --sensitivity 0.95 --positive CLASS"
        blocks.append(missing("No operating point was set; before the split is read one can be, by", command))
    if scores.conformal_sets:
        blocks.append(_sets(scores))
    return [*blocks, *(decision_chart(curve, i) for i, curve in enumerate(curves))]


def _sets(scores: Scores) -> Table:
    rows = [
        [
            f"{sets.coverage:.4g}", interval(sets.test.covered), f"{sets.test.mean_size:.2f}",
            number(sets.test.singletons.value), number(sets.test.not_sure.value),
        ]
        for sets in scores.conformal_sets
    ]  # fmt: skip
    head = ["coverage", "hold the true class", "classes in a set", "share of one class", "share of all classes"]
    caption = f"Conformal sets of {len(scores.class_names)} classes on the test split; {sets_promise(scores)}"
    return Table(caption, head, rows)


def classes(evidence: Evidence) -> list[Block]:
    """Return the confusion matrix, and a table of the classes."""
    scores = evidence.scores
    if scores is None:
        return []
    units = plural(scores.answered, f"test {scores.unit}")
    rows = [
        [row.name, str(row.images), *(class_figure(row, key) for key in CLASS_TITLES)] for row in scores.per_class
    ]
    head = [TASKS[scores.task].noun, f"{scores.unit}s", *CLASS_TITLES.values()]
    blocks: list[Block] = []
    if TASKS[scores.task].label_sets:
        title = f"{CLASSES_TITLE}, on the test split"
        blocks += [label_table(tables_of_labels(scores)[-1]), Table(title, head, rows)]
    else:
        caption = f"The ensemble on {units}: true class by row, predicted by column"
        blocks += [
            Matrix("confusion-test", caption, scores.class_names, scores.confusion_matrix),
            Table("The ensemble by class, each against the rest, on the test split", head, rows),
        ]
    blocks += _cuts(scores) if scores.cuts else []
    return [*blocks, *_calibration(evidence, scores)]


def _calibration(evidence: Evidence, scores: ReadScores) -> list[Block]:
    reviewed = scores.reviewed
    calibration = [
        [
            row.name, interval(row.calibration.intercept), interval(row.calibration.slope),
            number(row.average_precision),
        ]
        for row in reviewed.classes
    ]  # fmt: skip
    label_sets = TASKS[scores.task].label_sets
    head = [TASKS[scores.task].noun, "intercept (0 is right)", "slope (1 is right)", "average precision"]
    each = "each label" if label_sets else "each class against the rest"
    error = reviewed.calibration_error
    answers = " of the answers of all labels" if label_sets else ""
    line = (
        f"Calibration error{answers} {number(error.value)}; a perfectly calibrated model with these probabilities "
        f"has {number(error.mean)} by chance, in one of twenty cases {number(error.high)} or more. "
        f"{agreement_line(reviewed)}"
    )
    blocks: list[Block] = [
        Table(f"The ensemble's calibration on the test split, {each}", head, calibration),
        Text(line.rstrip()),
    ]
    if evidence.test_predictions is not None:
        curves = reviewed.calibration_curves
        blocks.append(calibration_chart(curves, evidence.test_predictions, scores.resampled))
    return blocks


def _cuts(scores: Scores) -> list[Block]:
    columns = cut_columns(scores.cuts, [(point, point.test) for point in scores.operating_points], scores.unit)
    names = [cut.event.name for cut in scores.cuts]
    rows = [list(row) for row in zip(names, *(cells for _, cells in columns), strict=True)]
    head = ["cut", *(title.replace("\n", " ") for title, _ in columns)]
    aucs = [(f"the AUC of {cut.event.name}", cut.auc) for cut in scores.cuts]
    return [Table(f"{CUTS_TITLE}, on the test split", head, rows), *map(Text, without_interval(aucs))]


def published(evidence: Evidence) -> list[Block]:
    """Return a report's figures beside the scores here; nothing where the search space names no report."""
    space = evidence.snapshot.space
    if space is None or space.published is None:
        return []
    comparison = evidence.published
    if comparison is None:
        return [missing("A report's figures are laid beside those here by", evidence.command("evaluate"))]
    blocks: list[Block] = [Text(source_line(comparison))]
    if comparison.warning:
        blocks.append(Text(comparison.warning, "warning" if comparison.comparable is False else "note"))
    if comparison.note:
        blocks.append(Text(f"{comparison.note}.", "note"))
    for table in comparison.tables:
        title, columns, notes = published_table(table, comparison.positive)
        head = ["model", *(name.replace("\n", ", ") for name, _ in columns), *([""] if notes else [])]
        cells = [cells for _, cells in columns] + ([notes] if notes else [])
        rows = [[model.name, *row] for model, *row in zip(table.models, *cells, strict=True)]
        blocks.append(Table(title, head, rows, frozenset({len(head) - 1} if notes else ())))
    return blocks
