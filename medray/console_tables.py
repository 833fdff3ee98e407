"""Tables for a terminal: figures as people read them, and columns laid out for the console's width.

A table that is wider than the console is printed in parts, one below the other, each with the same rows.
"""

from collections.abc import Sequence
from typing import Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from medray.console import say

#: The titles of metrics whose names are not words that people read.
METRIC_TITLES = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "exact_match": "exact match",
    "auc_micro": "AUC micro",
    "average_precision": "avg. precision",
    "f1_micro": "F1 micro",
    "balanced_accuracy": "balanced acc.",
    "f1_macro": "F1 macro",
    "log_loss": "log loss",
    "calibration_error": "calibr. error",
    "quadratic_kappa": "quadr. kappa",
    "within_one": "within 1 grade",
    "grade_error": "error in grades",
}
MIN_LABEL = 24  # cells that the first column keeps when room is short; longer labels are folded
MIN_NOTE = 30  # cells that notes need beside the other columns

Columns = list[tuple[str, list[str]]]  # title and cells of each


def number(value: float | None, *, sign: bool = False) -> str:
    """Return a figure in three places, as -0.003 and never as -0.000; a dash where it is None."""
    if value is None:
        return "–"
    return f"{round(value, 3) + 0.0:{'+' if sign else ''}.3f}"


def number_with_sd(mean: float | None, sd: float | None) -> str:
    """Return a mean with its standard deviation, as 0.973 ± 0.029, or alone where there is none."""
    return number(mean) if sd is None else f"{number(mean)} ± {number(sd)}"


class HasInterval(Protocol):
    """A figure with the ends of its interval; None where they are not defined."""

    @property
    def value(self) -> float | None: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def high(self) -> float | None: ...  # noqa: D102


def interval(estimate: HasInterval, *, sign: bool = False) -> str:
    """Return a figure with its interval, as 0.952 [0.901, 0.982]."""
    value = number(estimate.value, sign=sign)
    if estimate.value is None or estimate.low is None:
        return value
    return f"{value} [{number(estimate.low, sign=sign)}, {number(estimate.high, sign=sign)}]"


def p_value(value: float | None) -> str:
    """Return a p-value in three places, `<0.001` below them."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def metric_title(name: str) -> str:
    """Return a metric's name as people read it."""
    return METRIC_TITLES.get(name, name.replace("_", " ").replace("f1", "F1"))


def metric_caveat(name: str) -> str | None:
    """Return what whoever ranks models by a metric should know of it; None where there is nothing to say."""
    if not name.startswith("f1_"):
        return None
    return (
        "F1 depends on how frequent each class is and on the threshold (here the likeliest class is called, of "
        "several labels each from one half), and ignores true negatives; AUC and average "
        "precision rank models without a threshold."
    )


def print_table(
    console: Console,
    title: str,
    labels: Sequence[str],
    columns: Columns,
    head: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Print a table of one row for each label; in parts where its columns don't fit side by side.

    `head` is the title of the labels' column. `notes` are words that end the rows; where less than `MIN_NOTE`
    cells are left for them, they are a part of their own.
    """
    console.print()
    say(console, title)
    for part in table_parts(console.width, labels, columns, head, notes):
        console.print(part)


def table_parts(
    width: int, labels: Sequence[str], columns: Columns, head: str = "", notes: Sequence[str] = ()
) -> list[Table]:
    """Return the parts that `print_table` prints on a console of `width` cells."""
    room = _room(width, labels, head)
    parts = _split(columns, room)
    beside = bool(notes) and room - sum(map(_column_width, parts[-1])) >= MIN_NOTE
    tables = [_table(labels, part, head) for part in parts[:-1]]
    tables.append(_table(labels, parts[-1], head, notes if beside else (), width - room - 2))
    if notes and not beside:
        noted = [(label, note) for label, note in zip(labels, notes, strict=True) if note]
        tables.append(_table([label for label, _ in noted], [], head, [note for _, note in noted]))
    return tables


def fits(console: Console, labels: Sequence[str], columns: Columns) -> bool:
    """Return whether a table's columns fit side by side."""
    return len(_split(columns, _room(console.width, labels, ""))) == 1


def _table(
    labels: Sequence[str], columns: Columns, head: str, notes: Sequence[str] = (), min_label: int | None = None
) -> Table:
    """Return one part; beside notes the labels' column keeps `min_label` cells."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column(Text(head), overflow="fold", min_width=min_label if notes else None)
    for title, cells in columns:
        min_width = max(map(cell_len, cells), default=1)
        table.add_column(Text(title), justify="right", no_wrap=True, min_width=min_width)
    if notes:
        table.add_column("", overflow="fold")
    for label, *row in zip(labels, *(cells for _, cells in columns), *([notes] if notes else []), strict=True):
        table.add_row(Text(label), *map(Text, row))  # plain text: a class may be called "[red]"
    return table


def _room(width: int, labels: Sequence[str], head: str) -> int:
    """Return the cells that are left beside the labels' column."""
    return width - min(max(map(cell_len, [head, *labels])), MIN_LABEL) - 2


def _split(columns: Columns, room: int) -> list[Columns]:
    """Return the columns in as few parts of at most `room` cells as will do, about as many columns in each."""
    widths = [_column_width(column) for column in columns]
    count, left = 1, room
    for width in widths:
        if width > left and left < room:
            count, left = count + 1, room
        left -= width
    size = max(1, -(-len(columns) // count))
    while size > 1 and any(sum(widths[i : i + size]) > room for i in range(0, len(columns), size)):
        size -= 1
    return [columns[i : i + size] for i in range(0, len(columns), size)] or [[]]


def _column_width(column: tuple[str, list[str]]) -> int:
    title, cells = column
    return max(map(cell_len, [*title.splitlines(), *cells])) + 2
