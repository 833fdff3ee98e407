"""How a report's figures are printed beside our own."""

import textwrap
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from medray.console import say
from medray.evaluate.console_tables import Columns, metric_title, number, print_table
from medray.space.published import FOLDS, OF_POSITIVE, TEST, TRAIN, VAL

NOTE = 160  # the leaderboard has the whole reason
WHERE = {
    TRAIN: "on the training split, which the networks have seen",
    TEST: "on the test split",
    VAL: "on validation, which chose each epoch here",
    FOLDS: "mean and standard deviation over folds, each on the images it holds out, which chose its epoch here",
}


def print_published(console: Console, published: Mapping[str, Any]) -> None:
    """Print whose figures they are, whether they can be compared, and a table for each split."""
    console.print()
    say(console, f"Published: {published['report']}; its data: {published['data']}. Here: {published['here']}.")
    if published["warning"]:
        say(console, published["warning"])
    if published["note"]:
        say(console, f"Note: {published['note']}.")
    for table in published["tables"]:
        _print_split(console, table, published["positive"])


def _print_split(console: Console, table: Mapping[str, Any], positive: str | None) -> None:
    title, columns = cells(table, positive)
    notes = notes_of(table)
    print_table(
        console, title, [row["name"] for row in table["rows"]], columns, "model", notes if any(notes) else ()
    )


def cells(table: Mapping[str, Any], positive: str | None) -> tuple[str, Columns]:
    """The title of a split's table, and its columns: each metric as it was published and as it is here."""
    columns: Columns = []
    for metric in table["metrics"]:
        figures = [row["figures"].get(metric, {}) for row in table["rows"]]
        for side in ("published", "here"):
            columns.append((f"{_title(metric, positive)}\n{side}", [_figure(own, side) for own in figures]))
    counts = ", ".join(f"{n} images {side}" for side, n in table["images"].items() if n)
    title = f"Published figures and those here, {WHERE[table['split']]}"
    return title + (f"; {counts}" if counts else ""), columns


def notes_of(table: Mapping[str, Any]) -> list[str]:
    """What is to be said of each row of a split's table; mostly nothing."""
    return [_note(row) for row in table["rows"]]


def _title(metric: str, positive: str | None) -> str:
    if metric in OF_POSITIVE:
        return f"{metric_title(OF_POSITIVE[metric])} of {positive}"
    return metric_title(metric)


def _figure(pair: Mapping[str, float | None], side: str) -> str:
    """A figure as 0.973, over folds as 0.973 ± 0.029; nothing where none was published."""
    if side not in pair:
        return ""
    sd = pair[f"{side}_sd"]
    return number(pair[side]) + ("" if sd is None else f" ± {number(sd)}")


def _note(row: Mapping[str, Any]) -> str:
    """Why there is no figure here, at no great length, or what the row is made of."""
    if row["note"]:
        return textwrap.shorten(row["note"], NOTE, placeholder=" …")
    if row["average_of"]:
        return f"mean of {', '.join(row['average_of'])}"
    return f"{row['folds']} folds here" if row["folds"] else ""
