"""Sheet: a table of figures, perhaps beside internal ones, and the sentences that say what they rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medray.console_tables import Columns, HasInterval, interval, metric_title, number
from medray.decisions.conformal import ConformalSets
from medray.decisions.thresholds import OperatingPoint
from medray.evaluate.external.documents import Beside
from medray.evaluate.external.figures import ExternalFigures
from medray.stats.calibration_slope import Recalibration

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


def missing_differences(rows: Mapping[str, HasInterval], beside: Mapping[str, Beside]) -> tuple[str, ...]:
    """Return a sentence for each reason why some scores that both sides have can't be compared."""
    reasons: dict[str, list[str]] = {}
    for name in rows:
        pair = beside.get(name)
        if pair is not None and pair.difference.value is None and None not in (
            pair.external.value, pair.internal.value
        ):  # fmt: skip
            reasons.setdefault(pair.difference.reason or "", []).append(metric_title(name))
    return tuple(f"No difference of {', '.join(names)}: {reason}." for reason, names in reasons.items())


def point_promises(points: Sequence[OperatingPoint], figures: ExternalFigures) -> tuple[str, ...]:
    """Return what was promised of operating points, and that it is not of these images, a sentence each."""
    units = "images" if figures.cases is None else "cases"
    lines = [
        f"A mean sensitivity of {promised:.4g} is promised for {units} like those that set the threshold; for "
        f"these {units} nothing is promised."
        for promised in sorted({point.promised for point in points if point.promised is not None})
    ]
    without = [point.positive for point in points if point.promised is None]
    if len(points) == 1 and without:
        lines.append("Nothing was promised of this point.")
    elif without:
        lines.append(f"Nothing was promised of {'these points' if not lines else ', '.join(without)}.")
    return tuple(lines)


def sets_promise(sets: Sequence[ConformalSets], figures: ExternalFigures) -> str:
    """Return what was promised of conformal sets, and that it is not of these images."""
    units = "images" if figures.cases is None else "cases"
    if not all(row.promised for row in sets):
        return f"Nothing was promised of their coverage: the {units} that set them also selected the networks."
    return (
        f"Their coverage is promised for {units} like those that set them; for these {units} nothing is promised."
    )


def calibration_sheet(
    figures: ExternalFigures, internal: Mapping[str, Recalibration], digits: int, title: str, word: str
) -> Sheet:
    """Return the table of intercept and slope of each class, beside those of the run's own test split."""
    sides: dict[str, Mapping[str, Recalibration]] = {EXTERNAL: figures.calibration}
    if internal:
        sides[INTERNAL] = internal
    names = list(figures.calibration)
    columns: Columns = []
    for head, part in (("intercept (0)", "intercept"), ("slope (1)", "slope")):
        for side, rows in sides.items():
            cells = [figure(getattr(rows[name], part), min(digits, 2)) for name in names]
            columns.append((f"{head}\n{side}", cells))
    return Sheet(title, word, names, columns)
