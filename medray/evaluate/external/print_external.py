"""Print the reading of other images, as tables or as JSON."""

from typing import Any

from rich.console import Console

from medray.console import say
from medray.console_tables import fits, print_table
from medray.evaluate.external.run_external import ExternalEvaluation
from medray.evaluate.external.sheet import Sheet
from medray.evaluate.external.sheets import closing_line, external_sheets, opening_lines

DIGITS, FEWER = 3, 2  # of intervals; the latter where tables don't fit


def print_external(evaluation: ExternalEvaluation, console: Console) -> None:
    """Print what was measured, every table, and how often the images were read."""
    if evaluation.stored:
        say(
            console, f"From the store: these images were read on {evaluation.scores.time}, and are not read again."
        )
    for line in opening_lines(evaluation):
        say(console, line)
    pairs = zip(external_sheets(evaluation, DIGITS), external_sheets(evaluation, FEWER), strict=True)
    for sheet, narrow in pairs:
        print_sheet(console, sheet if fits(console, sheet.labels, sheet.columns) else narrow)
    for text in evaluation.scores.notes:
        say(console, f"  {text}")
    console.print()
    say(console, closing_line(evaluation))


def print_sheet(console: Console, sheet: Sheet) -> None:
    """Print a table with the sentences that follow it."""
    if sheet.labels:
        print_table(console, sheet.title, sheet.labels, sheet.columns, sheet.head)
    else:
        console.print()
        say(console, sheet.title)
    for line in sheet.lines:
        say(console, line)


def external_to_json(evaluation: ExternalEvaluation) -> dict[str, Any]:
    """Return the reading as plain values that JSON can hold; `internal` is None where there is none."""
    comparison = evaluation.comparison
    return {
        "run": evaluation.run.location,
        "from_store": evaluation.stored,
        "times_read": evaluation.by_run + evaluation.by_others,
        "times_read_by_run": evaluation.by_run,
        **evaluation.scores.to_dict(),
        "internal": None if comparison is None else comparison.to_dict(),
    }
