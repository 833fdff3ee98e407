"""Print a report's figures beside the scores here."""

import textwrap

from rich.console import Console

from medray.console import say
from medray.console_tables import Columns, metric_title, number_with_sd, print_table
from medray.evaluate.published_scores import ComparedModel, ComparedSplit, PublishedComparison
from medray.space.published import FOLDS, POSITIVE_CLASS_METRICS, TEST, TRAIN, VAL

MAX_NOTE = 160  # characters; the leaderboard has the whole reason
SPLIT_TITLES = {
    TRAIN: "on the training split, which the networks have seen",
    TEST: "on the test split",
    VAL: "on validation, which chose each epoch here",
    FOLDS: "mean and standard deviation over folds, each on the images it holds out, which chose its epoch here",
}


def print_published(console: Console, published: PublishedComparison) -> None:
    """Print the report's name, whether its figures can be compared with ours, and a table for each split."""
    console.print()
    say(console, source_line(published))
    if published.warning:
        say(console, published.warning)
    if published.note:
        say(console, f"Note: {published.note}.")
    for table in published.tables:
        title, columns, notes = published_table(table, published.positive)
        print_table(console, title, [model.name for model in table.models], columns, "model", notes)


def source_line(published: PublishedComparison) -> str:
    """Return which report it is, and on which data its figures and ours are."""
    return f"Published: {published.report}; its data: {published.data}. Here: {published.here}."


def published_table(table: ComparedSplit, positive: str | None) -> tuple[str, Columns, list[str]]:
    """Return a split's table: its title, two columns for each metric, published and here, and the rows' notes.

    There are no notes where no row has one.
    """
    columns: Columns = []
    for metric in table.metrics:
        figures = [model.figures.get(metric) for model in table.models]
        title = metric_title(metric)
        if metric in POSITIVE_CLASS_METRICS:
            title = f"{metric_title(POSITIVE_CLASS_METRICS[metric])} of {positive}"
        published = [number_with_sd(figure.published, figure.published_sd) if figure else "" for figure in figures]
        here = [number_with_sd(figure.here, figure.here_sd) if figure else "" for figure in figures]
        columns += [(f"{title}\npublished", published), (f"{title}\nhere", here)]
    sides = {"published": table.images.published, "here": table.images.here}
    counts = ", ".join(f"{count} images {side}" for side, count in sides.items() if count)
    title = f"Published figures and those here, {SPLIT_TITLES[table.split]}"
    notes = [_note(model) for model in table.models]
    return title + (f"; {counts}" if counts else ""), columns, notes if any(notes) else []


def _note(model: ComparedModel) -> str:
    """Return why there is no figure here, shortened, or what the model is an average of."""
    if model.note:
        return textwrap.shorten(model.note, MAX_NOTE, placeholder=" …")
    if model.average_of:
        return f"mean of {', '.join(model.average_of)}"
    return f"{model.folds} folds here" if model.folds else ""
