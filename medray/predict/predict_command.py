"""The command `medray predict`."""

import csv
import io
import json
import sys
from pathlib import Path

import click

from medray.cli.base import MedrayCommand, errors_in_one_line, json_option
from medray.console import make_console
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
  medray predict runs/skin test/ --column 'image_id={stem}' --column 'melanoma={p[melanoma]:.4f}'
\b
Fields of a column: path, file, stem, name, id, label, index, p[CLASS], decision, set, flags;
of several labels an image decision[LABEL], and no index.
"""


@click.command("predict", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--csv", "csv_file", metavar="FILE", help="Write the table there.  [stdout]")
@click.option("--form", "form_name", metavar="NAME", help="full, predicted, probabilities or indices.  [full]")
@click.option(
    "--column", "column_texts", multiple=True, metavar="NAME=TEMPLATE", help="A column of your own; several."
)
@click.option(
    "--labels", metavar="TABLE", help="Score the predictions by this table: a path, or csv:TABLE?label=COLUMN."
)
@click.option(
    "--map", "class_map", multiple=True, metavar="THEIRS=OURS",
    help="The ensemble's class that a label is; none leaves it out. Again for more.",
)  # fmt: skip
@json_option
def predict(
    run: str, images: tuple[str, ...], csv_file: str | None, form_name: str | None, column_texts: tuple[str, ...],
    labels: str | None, class_map: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Predict IMAGES with RUN's ensemble: files of PNG, JPEG, TIFF, BMP or DICOM, folders or tables of them.

    A table, CSV or TSV, names the files in one of its columns; labels are not needed, and other columns not read.
    Indices are the numbers that the classes had as labels, or else their positions among the class names. A file
    that can't be read is named and has no row; the exit status is then 1.

    --labels scores the files that a table names, with intervals: nothing is written into the run, and it is no
    read of its test split, whose images are refused. --json prints the scores on stdout instead of the table.
    """
    from medray.console import note, say, step
    from medray.errors import ConfigError, unknown_choice_line
    from medray.predict.class_numbers import describe_numbers
    from medray.predict.find_images import find_images
    from medray.predict.output_columns import FORMS, check_row_names, form, parse_column, uses
    from medray.predict.predict_files import open_ensemble, predict_files
    from medray.predict.print_scores import print_scores
    from medray.predict.score_files import check_not_test, list_labels, score_files
    from medray.text import plural

    console = make_console(True)
    with errors_in_one_line(as_json=as_json, interrupted="interrupted; nothing was written"):
        if labels is None and (class_map or as_json):
            raise ConfigError("--map and --json are of the scores by --labels TABLE; give that too")
        if form_name is not None and form_name not in FORMS:
            raise ConfigError(f"--form: {unknown_choice_line('form', form_name, FORMS)}")
        if form_name is not None and column_texts:
            raise ConfigError("give either --form or --column, not both")
        columns = [parse_column(text) for text in column_texts]
        found = find_images(images)
        if not columns:
            check_row_names(form_name or FORMS[0], found.files)
        listing = None if labels is None else list_labels(labels, found.files)
        with step(console, f"Predicting {plural(len(found.files), 'image')}") as progress:
            ensemble = open_ensemble(run)
            label_sets = ensemble.task.label_sets
            columns = columns or form(form_name or FORMS[0], ensemble.class_names, label_sets=label_sets)
            predictions = predict_files(ensemble, found.files, columns, progress)
        scored = None
        if listing is not None:
            unknown = check_not_test(run, predictions.answers)
            scored = score_files(predictions.answers, listing, class_map, ensemble.manifest)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([[column.name for column in columns], *predictions.rows])
        table = text.getvalue().encode(errors="surrogateescape")  # a file's name may be any bytes
        if scored is not None and as_json:
            click.echo(json.dumps(scored.to_json(run, str(labels)), allow_nan=False))
        elif csv_file is None:
            click.echo(table, nl=False)
        if csv_file is not None:
            write_file(Path(csv_file), table)
    for line in [*found.notes, *([describe_numbers(ensemble.manifest)] if uses(columns, "index") else [])]:
        note(console, line)
    if scored is not None:
        for line in [*scored.notes, *([unknown] if unknown else [])]:
            note(console, line)
        print_scores(console, scored, ensemble.manifest)
    unreadable = [*found.missing, *predictions.unreadable]
    for line in unreadable:
        say(console, f"can't be read: {line}")
    if predictions.out_of_distribution:
        say(
            console,
            f"{len(predictions.out_of_distribution)} of {len(predictions.rows)} images are unlike those that the "
            "networks were trained on; don't rely on their predictions",
        )
    if csv_file:
        say(console, f"Predictions of {plural(len(predictions.rows), 'image')}: {csv_file}")
    sys.exit(1 if unreadable else 0)
