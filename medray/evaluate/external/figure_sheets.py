"""The figures of an ensemble on some images as tables, for the terminal and the report, perhaps beside others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medray.console_tables import Columns, HasInterval, interval, metric_title, number
from medray.evaluate.external.class_map import MappedClass
from medray.evaluate.external.documents import Beside, ExternalComparison
from medray.evaluate.external.figures import ExternalFigures
from medray.stats.calibration_slope import Recalibration
from medray.tasks import TASKS

EXTERNAL, INTERNAL = "external", "internal"  # titles of columns


@dataclass(frozen=True)
class Sheet:
    """A table with a row for each of `labels`, below a `title`, and the sentences that follow it."""

    title: str
    head: str
    labels: list[str]
    columns: Columns
    lines: tuple[str, ...] = ()


def figure(estimate: HasInterval, digits: int, *, sign: bool = False) -> str:
    """Return a figure with its interval in so many places, as 0.95 [0.90, 0.98]."""
    if digits == 3:
        return interval(estimate, sign=sign)
    if estimate.value is None:
        return number(None)
    plus = "+" if sign else ""
    value, *ends = (
        None if end is None else f"{round(end, digits) + 0.0:{plus}.{digits}f}"
        for end in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value}" if None in ends else f"{value} [{ends[0]}, {ends[1]}]"


def figure_sheets(
    figures: ExternalFigures, task: str, metric: str, digits: int = 3,
    comparison: ExternalComparison | None = None, calibration: Mapping[str, Recalibration] | None = None,
) -> Iterator[Sheet]:  # fmt: skip
    """Yield the tables of the figures alone, beside internal ones and the internal `calibration` where given."""
    yield scores_sheet(figures, task, metric, comparison, digits)
    yield from _by_class(figures, comparison, digits)
    if figures.cuts:
        yield _by_cut(figures, comparison, digits)
    yield _calibration(figures, calibration or {}, digits)
    yield from _points(figures, comparison, digits)
    if figures.conformal_sets:
        yield _sets(figures, comparison, digits)


def classes_sheet(classes: Sequence[MappedClass]) -> Sheet:
    """Return the table of what became of each class of theirs."""
    columns: Columns = [
        ("images", [f"{row.images:,}" for row in classes]),
        ("the run's class", [row.ours or "left out" for row in classes]),
    ]
    return Sheet("Classes of the images", "class", [row.theirs for row in classes], columns)


def scores_sheet(
    figures: ExternalFigures, task: str, metric: str, comparison: ExternalComparison | None, digits: int
) -> Sheet:
    """Return the table of all shown scores."""
    shown = TASKS[task].table_metrics(metric, calibration=True)
    rows = {name: figures.scores[name] for name in (*shown, "brier")}
    units = "patient" if figures.patients else "image"
    columns = beside_columns(rows, {} if comparison is None else comparison.scores, digits)
    return Sheet(
        f"Scores; 95 % intervals by {units}", "", [metric_title(n) for n in rows], columns, missing_intervals(rows)
    )


def beside_columns(rows: Mapping[str, HasInterval], beside: Mapping[str, Beside], digits: int) -> Columns:
    """Return the columns of some figures, and of those beside them with the differences where there are any."""
    columns: Columns = [(EXTERNAL, [figure(row, digits) for row in rows.values()])]
    if beside:
        pairs = [beside.get(name) for name in rows]
        columns.append((INTERNAL, ["–" if pair is None else figure(pair.internal, digits) for pair in pairs]))
        columns.append(
            ("difference", ["–" if pair is None else figure(pair.difference, digits, sign=True) for pair in pairs])
        )
    return columns


def missing_intervals(rows: Mapping[str, HasInterval]) -> tuple[str, ...]:
    """Return a sentence for each reason why some scores have no interval."""
    reasons: dict[str, list[str]] = {}
    for name, row in rows.items():
        if reason := getattr(row, "reason", None):
            reasons.setdefault(reason, []).append(metric_title(name))
    return tuple(f"No interval of {', '.join(names)}: {reason}." for reason, names in reasons.items())


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


def _calibration(figures: ExternalFigures, internal: Mapping[str, Recalibration], digits: int) -> Sheet:
    sides: dict[str, Mapping[str, Recalibration]] = {EXTERNAL: figures.calibration}
    if internal:
        sides[INTERNAL] = internal
    names = list(figures.calibration)
    columns: Columns = []
    for title, part in (("intercept (0)", "intercept"), ("slope (1)", "slope")):
        for side, rows in sides.items():
            cells = [figure(getattr(rows[name], part), min(digits, 2)) for name in names]
            columns.append((f"{title}\n{side}", cells))
    return Sheet("Calibration, each class against the rest; in brackets what is right", "class", names, columns)


def _points(figures: ExternalFigures, comparison: ExternalComparison | None, digits: int) -> Iterator[Sheet]:
    for point in figures.operating_points:
        key = f"{point.name} {point.positive}"
        rows = {"sensitivity": point.test.sensitivity, "specificity": point.test.specificity}
        beside: dict[str, Beside] = {}
        if comparison is not None and key in comparison.sensitivity:
            beside = {
                "sensitivity": comparison.sensitivity[key], "specificity": comparison.specificity[key],
            }  # fmt: skip
        promise = "Nothing was promised of this point."
        if point.promised is not None:
            promise = (
                f"A mean sensitivity of {point.promised:.4g} is promised for images like those that set the "
                "threshold; for these images nothing is promised."
            )
        title = f"Operating point {point.name}, as it was set: '{point.positive}' from {point.threshold:.4f}"
        yield Sheet(title, "", list(rows), beside_columns(rows, beside, digits), (promise,))


def _sets(figures: ExternalFigures, comparison: ExternalComparison | None, digits: int) -> Sheet:
    sets = figures.conformal_sets
    rows = {f"{row.coverage:.4g}": row.test.covered for row in sets}
    columns = beside_columns(rows, {} if comparison is None else comparison.coverage, digits)
    labels = [f"{row.coverage:.4g} ({row.test.mean_size:.2f})" for row in sets]
    line = "Nothing was promised of their coverage: the images that set them also selected the networks."
    if all(row.promised for row in sets):
        line = (
            "Their coverage is promised for images like those that set them; for these images nothing is promised."
        )
    title = "Conformal sets, as they were set: share that holds the true class, by coverage (mean size)"
    return Sheet(title, "", labels, columns, (line,))
