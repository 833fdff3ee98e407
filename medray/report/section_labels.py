"""How good is it, of several labels an image: the decisions on each label, on the test split."""

from medray.evaluate.label_tables import Rows, tables_of_labels
from medray.evaluate.print_evaluation import without_interval
from medray.evaluate.scores_document import ReadScores
from medray.report.blocks import Block, Table, Text, missing
from medray.report.evidence import Evidence
from medray.report.figures_decision import MOST_DRAWN, decision_chart, decisions_table
from medray.report.figures_label_risks import label_risks_chart
from medray.report.model_predictions import ModelPredictions


def label_decisions(evidence: Evidence, scores: ReadScores, predictions: ModelPredictions) -> list[Block]:
    """Return probabilities, operating points, sets and decision curves of each label."""
    reviewed, points = scores.reviewed, scores.operating_points
    shown = [curve.event for curve in reviewed.calibration_curves]
    blocks: list[Block] = [label_risks_chart(predictions, shown, points)] if shown else []
    *tables, _ = tables_of_labels(scores)
    blocks += map(label_table, tables)
    if not points:
        command = evidence.command("ensemble") + " --sensitivity 0.95"
        problem = "No operating point was set; before the split is read each label can get its own, by"
        blocks.append(missing(problem, command))
    elif without := [name for name in scores.class_names if name not in {point.positive for point in points}]:
        blocks.append(Text(f"Labels without an operating point: {', '.join(without)}.", "note"))
    figures = [("", figure) for point in points for figure in (point.test.sensitivity, point.test.specificity)]
    if without_interval(figures):
        few = "of too few images or patients with the label, or without it"
        blocks.append(Text(f"A rate that has no interval is {few}.", "note"))
    drawn = reviewed.main_curves(MOST_DRAWN)
    rest = [curve for curve in reviewed.decision_curves if curve not in drawn]
    blocks += [decision_chart(curve, curve.event.class_index) for curve in drawn]
    return [*blocks, decisions_table(rest)] if rest else blocks


def label_table(table: Rows) -> Table:
    """Return a table of `medray.evaluate.label_tables` as the page shows it."""
    title, labels, columns = table
    rows = [list(row) for row in zip(labels, *(cells for _, cells in columns), strict=True)]
    return Table(title, ["label", *(name for name, _ in columns)], rows)
