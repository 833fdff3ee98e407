"""The figures of an ensemble on some images as tables, for the terminal and the report, perhaps beside others."""

from collections.abc import Iterator, Mapping, Sequence

from medray.console_tables import Columns, metric_title
from medray.evaluate.external.class_map import MappedClass
from medray.evaluate.external.comparison import point_key, sets_key
from medray.evaluate.external.documents import Beside, ExternalComparison
from medray.evaluate.external.figures import ExternalFigures
from medray.evaluate.external.label_sheets import label_sheets
from medray.evaluate.external.sheet import (
    Sheet,
    beside_columns,
    calibration_sheet,
    missing_differences,
    missing_intervals,
    point_promises,
    sets_promise,
)
from medray.stats.calibration_slope import Recalibration
from medray.tasks import TASKS


def figure_sheets(
    figures: ExternalFigures, task: str, metric: str, digits: int = 3,
    comparison: ExternalComparison | None = None, calibration: Mapping[str, Recalibration] | None = None,
) -> Iterator[Sheet]:  # fmt: skip
    """Yield the tables of the figures alone, beside internal ones and the internal `calibration` where given."""
    yield scores_sheet(figures, task, metric, comparison, digits)
    if TASKS[task].label_sets:
        yield from label_sheets(figures, digits, comparison, calibration or {})
        return
    yield from _by_class(figures, comparison, digits)
    if figures.cuts:
        yield _by_cut(figures, comparison, digits)
    title = "Calibration, each class against the rest; in brackets what is right"
    yield calibration_sheet(figures, calibration or {}, digits, title, "class")
    yield from _points(figures, comparison, digits)
    if figures.conformal_sets:
        yield _sets(figures, comparison, digits)


def classes_sheet(classes: Sequence[MappedClass], word: str = "class") -> Sheet:
    """Return the table of what became of each class of theirs; `word` is what the task calls one."""
    columns: Columns = [
        ("images", [f"{row.images:,}" for row in classes]),
        (f"the run's {word}", [row.ours or "left out" for row in classes]),
    ]
    title = f"{'Labels' if word == 'label' else 'Classes'} of the images"
    return Sheet(title, word, [row.theirs for row in classes], columns)


def scores_sheet(
    figures: ExternalFigures, task: str, metric: str, comparison: ExternalComparison | None, digits: int
) -> Sheet:
    """Return the table of all shown scores."""
    shown = TASKS[task].table_metrics(metric, calibration=True)
    rows = {name: figures.scores[name] for name in (*shown, "brier")}
    unit = "patient" if figures.patients else "image" if figures.cases is None else "case"
    beside = {} if comparison is None else comparison.scores
    lines = (*missing_intervals(rows), *missing_differences(rows, beside))
    columns = beside_columns(rows, beside, digits)
    return Sheet(f"Scores; 95 % intervals by {unit}", "", [metric_title(n) for n in rows], columns, lines)


def _by_class(figures: ExternalFigures, comparison: ExternalComparison | None, digits: int) -> Iterator[Sheet]:
    rows = figures.per_class
    names = [row.name for row in rows]
    auc = beside_columns(
        {row.name: row.auc for row in rows}, {} if comparison is None else comparison.class_auc, digits
    )
    if len(names) > 2:  # of two classes both are that of all
        yield Sheet("AUC of each class against the rest", "class", names, auc)
    recall = beside_columns(
        {row.name: row.recall for row in rows}, {} if comparison is None else comparison.class_recall, digits
    )
    yield Sheet("Sensitivity of each class, where the likeliest class is called", "class", names, recall)


def _by_cut(figures: ExternalFigures, comparison: ExternalComparison | None, digits: int) -> Sheet:
    rows = {cut.event.name: cut.auc for cut in figures.cuts}
    columns = beside_columns(rows, {} if comparison is None else comparison.cut_auc, digits)
    images: Columns = [("images", [f"{cut.images:,}" for cut in figures.cuts])]
    title = "AUC of each cut, each grade and above against those below"
    return Sheet(title, "cut", list(rows), images + columns, missing_intervals(rows))


def _points(figures: ExternalFigures, comparison: ExternalComparison | None, digits: int) -> Iterator[Sheet]:
    for point in figures.operating_points:
        key = point_key(point)
        rows = {"sensitivity": point.test.sensitivity, "specificity": point.test.specificity}
        beside: dict[str, Beside] = {}
        if comparison is not None and key in comparison.sensitivity:
            beside = {
                "sensitivity": comparison.sensitivity[key], "specificity": comparison.specificity[key],
            }  # fmt: skip
        title = f"Operating point {point.name}, as it was set: '{point.positive}' from {point.threshold:.4f}"
        yield Sheet(title, "", list(rows), beside_columns(rows, beside, digits), point_promises([point], figures))


def _sets(figures: ExternalFigures, comparison: ExternalComparison | None, digits: int) -> Sheet:
    sets = figures.conformal_sets
    rows = {sets_key(row): row.test.covered for row in sets}
    columns = beside_columns(rows, {} if comparison is None else comparison.coverage, digits)
    labels = [f"{row.coverage:.4g} ({row.test.mean_size:.2f})" for row in sets]
    title = "Conformal sets, as they were set: share that holds the true class, by coverage (mean size)"
    return Sheet(title, "", labels, columns, (sets_promise(sets, figures),))
