"""The figures of several labels an image as tables with a row for each label."""

from collections.abc import Iterator, Mapping

from medray.console_tables import Columns
from medray.evaluate.external.comparison import point_key, sets_key
from medray.evaluate.external.documents import ExternalComparison
from medray.evaluate.external.figures import ExternalFigures
from medray.evaluate.external.sheet import (
    Sheet,
    beside_columns,
    calibration_sheet,
    point_promises,
    sets_promise,
)
from medray.evaluate.label_tables import CONFUSION_TITLES
from medray.stats.calibration_slope import Recalibration

LABEL = "label"


def label_sheets(
    figures: ExternalFigures, digits: int, comparison: ExternalComparison | None,
    calibration: Mapping[str, Recalibration],
) -> Iterator[Sheet]:  # fmt: skip
    """Yield the tables of the labels of which something is known there, beside internal ones where given."""
    rows = [row for row in figures.per_class if row.name not in figures.missing_classes]
    auc = beside_columns(
        {row.name: row.auc for row in rows}, {} if comparison is None else comparison.class_auc, digits
    )
    names = [row.name for row in rows]
    without = [row.name for row in rows if row.auc.value is None]
    lines = [f"No AUC, so in no mean over labels: {', '.join(without)}."] if without else []
    yield Sheet("AUC of each label", LABEL, names, auc, tuple(lines))
    recall = beside_columns(
        {row.name: row.recall for row in rows}, {} if comparison is None else comparison.class_recall, digits
    )
    yield Sheet("Sensitivity of each label, called from a probability of one half", LABEL, names, recall)
    yield _counts(figures)
    title = "Calibration of each label; in brackets what is right"
    yield calibration_sheet(figures, calibration, digits, title, LABEL)
    yield from _points(figures, comparison, digits)
    yield from _sets(figures, comparison, digits)


def _counts(figures: ExternalFigures) -> Sheet:
    """Return how many images have each label and are called, of those where it is known."""
    pairs = zip(figures.per_class, figures.confusion_matrix, strict=True)
    known = {row.name: counts for row, counts in pairs if row.name not in figures.missing_classes}
    columns: Columns = [
        (title, [f"{counts[at]:,}" for counts in known.values()]) for at, title in enumerate(CONFUSION_TITLES)
    ]
    units = "Images" if figures.cases is None else "Cases"
    return Sheet(f"{units} by label, called from a probability of one half", LABEL, list(known), columns)


def _points(figures: ExternalFigures, comparison: ExternalComparison | None, digits: int) -> Iterator[Sheet]:
    for name in dict.fromkeys(point.name for point in figures.operating_points):
        points = [point for point in figures.operating_points if point.name == name]
        for key in ("sensitivity", "specificity"):
            rows = {point_key(point): getattr(point.test, key) for point in points}
            beside = {} if comparison is None else getattr(comparison, key)
            columns: Columns = [("from", [f"{point.threshold:.4f}" for point in points])]
            title = f"Operating points {name}, as they were set: {key}"
            labels = [point.positive for point in points]
            lines = point_promises(points, figures) if key == "sensitivity" else ()
            yield Sheet(title, LABEL, labels, columns + beside_columns(rows, beside, digits), lines)


def _sets(figures: ExternalFigures, comparison: ExternalComparison | None, digits: int) -> Iterator[Sheet]:
    for coverage in dict.fromkeys(sets.coverage for sets in figures.conformal_sets):
        of_coverage = [sets for sets in figures.conformal_sets if sets.coverage == coverage]
        rows = {sets_key(sets): sets.test.covered for sets in of_coverage}
        columns = beside_columns(rows, {} if comparison is None else comparison.coverage, digits)
        columns.append(("not sure", [f"{sets.test.not_sure.value or 0.0:.3f}" for sets in of_coverage]))
        labels = [sets.event.name for sets in of_coverage if sets.event is not None]
        title = (
            f"Sets of the answers yes and no at {coverage:.4g}, as they were set: share that holds the true one"
        )
        yield Sheet(title, LABEL, labels, columns, (sets_promise(of_coverage, figures),))
