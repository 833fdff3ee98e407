"""The command `medray init`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medray.cli.base import MedrayCommand, errors_in_one_line, metric_option
from medray.console import NARROW, make_console

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLES = """
\b
Examples:
  medray init films --data folder:films
  medray init cells --data csv:cells/labels.csv --metric auc
  medray init cells --data 'csv:cells/labels.csv?image=file&label=dx'
  medray init breast --data breastmnist.npz --out studies/breast.yaml
"""


@click.command("init", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("name")
@click.option(
    "--data",
    metavar="SOURCE",
    required=True,
    help="folder:PATH, csv:PATH, dicom:PATH, medmnist:NAME[:SIZE], an .npz, or phantom:NAME.",
)
@click.option("--out", metavar="FILE", help="The file to write.  [NAME.yaml]")
@click.option(
    "--missing",
    type=click.Choice(["fail", "drop"]),
    default="fail",
    help="Rows of a table without a file: refuse them, or write a study that leaves them out.  [fail]",
)
@metric_option
def init(name: str, data: str, out: str | None, missing: str, metric: str | None) -> None:
    """Look at the data and write NAME.yaml, a search space for it.

    Each of its lines gives a reason. `medray search NAME.yaml` runs at once; no file is overwritten.
    """
    with errors_in_one_line(interrupted="interrupted; nothing was written"):
        begin(name, data, out, make_console(width=NARROW), missing=missing, metric=metric)


def begin(
    name: str,
    data: str,
    out: str | None,
    console: "Console",
    *,
    missing: str = "fail",
    metric: str | None = None,
    hints: bool = True,
) -> Path:
    """Write the search space of a new study, describe it on `console`, and return its file.

    Its objective is `metric`, or else what suits the classes. With `hints` the commands that come next are named.

    Raises:
        MedrayError: the name or the file can't be used, the data can't be read or split, the metric is not one
            for them, rows of a table have no file and `missing` is not drop, or $MEDRAY_WEIGHTS names no folder.
    """
    from dataclasses import replace

    from medray.audit.audit import audit_survey
    from medray.audit.survey_images import survey_source
    from medray.console import step
    from medray.data.listing.listing import Listing
    from medray.data.source import parse_source
    from medray.init.data_sections import check_missing
    from medray.init.naming import check_name, complete_source, space_path
    from medray.init.opening import open_without_side_cars
    from medray.init.print_proposal import print_proposal
    from medray.init.proposal import propose_study
    from medray.init.published import with_published
    from medray.init.writer import write
    from medray.space.reader import check_metric

    path = space_path(check_name(name), out)
    if metric is not None:  # whether it suits the classes is known when the images are read
        check_metric(metric)
    progress = make_console(True)
    source, guessed = complete_source(parse_source(data))
    opened = open_without_side_cars(source)
    if isinstance(opened.content, Listing):
        check_missing(opened.content, missing)
    with step(progress, f"Looking at {data}") as report:
        survey = survey_source(opened.content, report)
    proposal = propose_study(name, str(opened.source), survey, tuple(guessed.items()), opened.excluded)
    with step(progress, "Looking for published weights"):
        proposal = with_published(replace(proposal, metric=metric))
    text = write(proposal)
    with step(progress, "Looking for duplicates in other splits"):
        audit = audit_survey(proposal.kept)
    save(path, text)
    print_proposal(proposal, audit, path, console, hints=hints)
    return path


def save(path: Path, text: str) -> None:
    """Write a new file.

    Raises:
        RunError: it can't be written.
    """
    from medray.errors import RunError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RunError(f"{path}: can't be written: {error.strerror}") from None
