"""The command line that begins a study."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medray.cli.base import MedrayCommand, errors_in_one_line
from medray.console import NARROW, make_console

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLES = """
\b
Examples:
  medray init films --data folder:films
  medray init cells --data csv:cells/labels.csv
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
def init(name: str, data: str, out: str | None) -> None:
    """Look at the data and write NAME.yaml, a search space for it.

    Each line of it says why. `medray search NAME.yaml` runs at once; no file is written over.
    """
    with errors_in_one_line(interrupted="interrupted; nothing was written"):
        begin(name, data, out, make_console(width=NARROW))


def begin(name: str, data: str, out: str | None, console: "Console") -> Path:
    """Write the search space of a new study, and tell of it on `console`; return the file.

    Raises:
        MedrayError: the name or the file can't be taken, or the data can't be read or divided.
    """
    from medray.audit.audit import audit
    from medray.audit.survey_images import open_source, survey_source
    from medray.console import step
    from medray.data.source import parse_source
    from medray.init.naming import check_name, space_path, spelled
    from medray.init.print_proposal import print_study
    from medray.init.proposal import make_study
    from medray.init.writer import write

    path = space_path(check_name(name), out)
    progress = make_console(True)
    source, guessed = spelled(parse_source(data))
    opened = open_source(source)
    with step(progress, f"Looking at {data}") as told:
        survey = survey_source(opened, told)
    study = make_study(name, str(source), survey, tuple(guessed.items()))
    text = write(study)
    with step(progress, "Looking for copies in other splits"):
        found = audit(study.kept)
    save(path, text)
    print_study(study, found, path, console)
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


def main() -> None:
    """Run the command."""
    init(prog_name="medray init")
