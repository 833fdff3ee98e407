"""Print how good the predictions of labelled files are."""

from dataclasses import replace

from rich.console import Console

from medray.console import say
from medray.console_tables import fits
from medray.ensemble.manifest import Manifest
from medray.evaluate.external.figure_sheets import classes_sheet, figure_sheets
from medray.evaluate.external.print_external import DIGITS, FEWER, print_sheet
from medray.evaluate.external.sheet import EXTERNAL
from medray.predict.score_files import ScoredFiles
from medray.tasks import TASKS


def print_scores(console: Console, scored: ScoredFiles, manifest: Manifest) -> None:
    """Print the classes and all figures, and that they are no read of the run's test split."""
    figures, metric = scored.figures, manifest.selected_on.metric
    print_sheet(console, classes_sheet(scored.classes, "label" if TASKS[manifest.task].label_sets else "class"))
    wide, narrow = (figure_sheets(figures, manifest.task, metric, digits) for digits in (DIGITS, FEWER))
    for sheet, narrower in zip(wide, narrow, strict=True):
        shown = sheet if fits(console, sheet.labels, sheet.columns) else narrower
        columns = [(title.replace(EXTERNAL, "these files"), cells) for title, cells in shown.columns]
        print_sheet(console, replace(shown, columns=columns))
    say(console, "Nothing was written into the run, and this is no read of its test split.")
