"""The command `medray predict`."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from medray.cli.base import MedrayCommand, errors_in_one_line, json_option
from medray.console import make_console
from medray.errors import ConfigError
from medray.files import write_file

EXAMPLES = """\
\b
Examples:
  medray predict runs/skin lesion.jpg                        # a table on stdout
  medray predict runs/covid films/ --csv predicted.csv       # all images of a folder
  medray predict runs/skin test.csv --form indices           # the files that a table names
  medray predict runs/skin 'csv:test.csv?image=photo'        # by that column
  medray predict runs/covid films/ --form predicted --csv predicted.csv
  medray predict runs/skin test/ --form probabilities --csv submission.csv
  medray predict runs/skin films/ --labels films.csv --map cancer=malignant   # and how good they are
  medray predict runs/films test.csv --by patient            # one row for each patient, of all files
  medray predict runs/films films/ --by folder               # each folder is a case
  medray predict runs/films films/ --by '(p\\d+)_'           # or what a pattern matches in the path
  medray predict runs/skin test/ --column 'image_id={stem}' --column 'melanoma={p[melanoma]:.4f}'
\b
Fields of a column: path, file, stem, name, id, label, index, p[CLASS], decision, set, flags;
of several labels an image decision[LABEL], and no index; with --by case, images, weighed_most and weight
instead of path, file, stem, name and id.
"""


@click.command("predict", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--csv", "csv_file", metavar="FILE", help="Write the table there.  [stdout]")
@click.option("--form", metavar="NAME", help="full, predicted, probabilities or indices.  [full]")
@click.option("--column", "columns", multiple=True, metavar="NAME=TEMPLATE", help="A column of your own; several.")
@click.option(
    "--by", metavar="COLUMN|folder|PATTERN",
    help="One row for each case: images with the same value of a table's column, in the same folder, or in whose "
    "path a regular expression (its group) matches the same.",
)  # fmt: skip
@click.option(
    "--labels", metavar="TABLE", help="Score the predictions by this table: a path, or csv:TABLE?label=COLUMN."
)
@click.option(
    "--map", "class_map", multiple=True, metavar="THEIRS=OURS",
    help="The ensemble's class that a label is; none leaves it out. Again for more.",
)  # fmt: skip
@json_option
def predict(csv_file: str | None, as_json: bool, **options: Any) -> None:
    """Predict IMAGES with RUN's ensemble: files of PNG, JPEG, TIFF, BMP or DICOM, folders or tables of them.

    A table, CSV or TSV, names the files in one of its columns; labels are not needed, and other columns not read.
    Indices are the numbers that the classes had as labels, or else their positions among the class names. A file
    that can't be read is named and has no row; the exit status is then 1.

    --by is of an ensemble that answers cases, and gives one row for each: its number of images, and which of them
    weighed most. A case of which a file can't be read is named and has no row.

    --labels scores the files that a table names, with intervals: nothing is written into the run, and it is no
    read of its test split, whose images are refused. --json prints the scores on stdout instead of the table.
    """
    from medray.predict.print_predictions import print_predictions
    from medray.predict.run_predict import PredictOptions, run_predict

    console = make_console(True)
    with errors_in_one_line(as_json=as_json, interrupted="interrupted; nothing was written"):
        if as_json and options["labels"] is None:
            raise ConfigError("--json is of the scores by --labels TABLE; give that too")
        predicted = run_predict(PredictOptions(**options), console)
        if predicted.scored is not None and as_json:
            click.echo(json.dumps(predicted.scored.to_json(options["run"], options["labels"]), allow_nan=False))
        elif csv_file is None:
            click.echo(predicted.table, nl=False)
        if csv_file is not None:
            write_file(Path(csv_file), predicted.table)
    print_predictions(console, predicted, csv_file)
    sys.exit(1 if predicted.unreadable else 0)
