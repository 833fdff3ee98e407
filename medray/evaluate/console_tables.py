"""Tables for a terminal: figures as people read them, columns laid out for the console's width."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from medray.console import say

#: What is always shown of a model, and how it is called.
SHOWN = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced acc.",
    "f1_macro": "F1 macro",
    "log_loss": "log loss",
    "calibration_error": "calibr. error",
}
LABEL = 24  # how narrow the first column may become before a table is printed in parts
NOTE = 30  # and the last one, where it holds words

Columns = list[tuple[str, list[str]]]


def number(value: float | None, *, sign: bool = False) -> str:
    """A figure in three places, as -0.003 and never as -0.000; a dash where it is not defined."""
    if value is None:
        return "–"
    return f"{round(value, 3) + 0.0:{'+' if sign else ''}.3f}"


def interval(estimate: Mapping[str, Any], *, sign: bool = False) -> str:
    """A figure with its interval, as 0.952 [0.901, 0.982]."""
    value = number(estimate["value"], sign=sign)
    if estimate["value"] is None or estimate["low"] is None:
        return value
    return f"{value} [{number(estimate['low'], sign=sign)}, {number(estimate['high'], sign=sign)}]"


def p_value(value: float | None) -> str:
    """A p in three places."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def metric_title(name: str) -> str:
    """A metric as people read it."""
    return SHOWN.get(name, name.replace("_", " ").replace("f1", "F1"))


def print_table(
    console: Console,
    title: str,
    labels: Sequence[str],
    columns: Columns,
    head: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Print a table; where its columns don't fit side by side, in parts of the same rows.

    `notes` are words that end the rows, or stand in a part of their own where they find little room.
    """
    console.print()
    say(console, title)
    narrowest, room = _label(labels, head), _room(console, labels, head)
    *others, last = _parts(columns, room)
    for part in others:
        console.print(_table(labels, part, head))
    beside = bool(notes) and room - sum(map(_width, last)) >= NOTE
    console.print(_table(labels, last, head, notes if beside else (), narrowest))
    if notes and not beside:
        noted = [(label, note) for label, note in zip(labels, notes, strict=True) if note]
        console.print(_table([label for label, _ in noted], [], head, [note for _, note in noted]))


def _table(
    labels: Sequence[str], columns: Columns, head: str, notes: Sequence[str] = (), narrowest: int | None = None
) -> Table:
    """One part of a table; beside notes the first column keeps a width of `narrowest`."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column(Text(head), overflow="fold", min_width=narrowest if notes else None)
    for name, cells in columns:
        table.add_column(Text(name), justify="right", no_wrap=True, min_width=max(map(cell_len, cells)))
    if notes:
        table.add_column("", overflow="fold")
    for label, *row in zip(labels, *(cells for _, cells in columns), *([notes] if notes else []), strict=True):
        table.add_row(Text(label), *map(Text, row))  # plain text: a class may be called "[red]"
    return table


def fits(console: Console, labels: Sequence[str], columns: Columns) -> bool:
    """Whether a table's columns fit side by side."""
    return len(_parts(columns, _room(console, labels))) == 1


def _label(labels: Sequence[str], head: str) -> int:
    return min(max(map(cell_len, [head, *labels])), LABEL)


def _room(console: Console, labels: Sequence[str], head: str = "") -> int:
    return console.width - _label(labels, head) - 2


def _parts(columns: Columns, width: int) -> list[Columns]:
    """Share columns out over as few parts of at most `width` cells as will do, about as many in each."""
    widths = [_width(column) for column in columns]
    count, room = 1, width
    for own in widths:
        if own > room and room < width:
            count, room = count + 1, width
        room -= own
    size = -(-len(columns) // count)
    while size > 1 and any(sum(widths[i : i + size]) > width for i in range(0, len(columns), size)):
        size -= 1
    return [columns[i : i + size] for i in range(0, len(columns), size)]


def _width(column: tuple[str, list[str]]) -> int:
    name, cells = column
    return max(map(cell_len, [*name.splitlines(), *cells])) + 2
