"""The command `medray predict`."""

import csv
import io
import sys
from pathlib import Path

import click

from medray.cli.base import MedrayCommand, errors_in_one_line
from medray.console import make_console
from medray.files import write_file

EXAMPLES = """\
\b
Examples:
  medray predict runs/skin lesion.jpg                        # a table on stdout
  medray predict runs/covid films/ --csv predicted.csv       # all images of a folder
  medray predict runs/covid films/ --form predicted --csv predicted.csv
  medray predict runs/skin test/ --form probabilities --csv submission.csv
  medray predict runs/skin test/ --column 'image_id={stem}' --column 'melanoma={p[melanoma]:.4f}'
\b
Fields of a column: path, file, stem, label, index, p[CLASS], decision, set, flags.
"""


@click.command("predict", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--csv", "csv_file", metavar="FILE", help="Write the table there.  [stdout]")
@click.option("--form", "form_name", metavar="NAME", help="full, predicted, probabilities or indices.  [full]")
@click.option(
    "--column", "columns", multiple=True, metavar="NAME=TEMPLATE", help="A column of one's own; several."
)
def predict(
    run: str, images: tuple[str, ...], csv_file: str | None, form_name: str | None, columns: tuple[str, ...]
) -> None:
    """Ask RUN's ensemble about IMAGES: files of PNG, JPEG, TIFF, BMP or DICOM, or folders of them.

    A file that can't be read is named and has no row; the exit status is then 1.
    """
    from medray.console import say, step
    from medray.errors import ConfigError, unknown_choice_line
    from medray.predict.output_columns import FORMS, check_apart, form, parse_column
    from medray.predict.predict_files import find_images, open_ensemble, predict_files

    console = make_console(True)
    with errors_in_one_line(interrupted="interrupted; nothing was written"):
        if form_name is not None and form_name not in FORMS:
            raise ConfigError(f"--form: {unknown_choice_line('form', form_name, FORMS)}")
        if form_name is not None and columns:
            raise ConfigError("give either --form or --column, not both")
        own = [parse_column(text) for text in columns]
        paths = find_images(images)
        if not own:
            check_apart(form_name or FORMS[0], paths)
        with step(console, f"Asking the ensemble about {len(paths)} image{'s' if len(paths) > 1 else ''}") as told:
            ensemble = open_ensemble(run)
            chosen = own or form(form_name or FORMS[0], ensemble.class_names)
            found = predict_files(ensemble, paths, chosen, told)
        _write([[column.name for column in chosen], *found.rows], csv_file)
    for one in found.unreadable:
        say(console, f"can't be read: {one}")
    if found.novel:
        some = f"{len(found.novel)} of {len(found.rows)} images"
        say(
            console,
            f"{some} are unlike those that the networks were trained on; don't rely on what is said of them",
        )
    if csv_file:
        say(console, f"Predictions of {len(found.rows)} images: {csv_file}")
    sys.exit(1 if found.unreadable else 0)


def _write(rows: list[list[str]], csv_file: str | None) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    table = text.getvalue().encode(errors="surrogateescape")  # a file's name may be any bytes
    if csv_file is None:
        click.echo(table, nl=False)
    else:
        write_file(Path(csv_file), table)
