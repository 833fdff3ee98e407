"""Predict the images that a person names, and score them where a table of labels is given."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from medray.console import step
from medray.ensemble.manifest import Manifest
from medray.errors import ConfigError, printable, unknown_choice_line
from medray.predict.class_numbers import describe_numbers
from medray.predict.file_cases import file_cases
from medray.predict.find_images import find_images
from medray.predict.output_columns import (
    CASE_FIELDS,
    FIELDS,
    FORMS,
    Column,
    check_row_names,
    form,
    parse_column,
    uses,
)
from medray.predict.predict_file_cases import predict_file_cases
from medray.predict.predict_files import FilePredictions, open_ensemble, predict_files
from medray.predict.score_files import ScoredFiles, check_not_test, list_labels, run_rules, score_files
from medray.text import plural


@dataclass(frozen=True)
class PredictOptions:
    """The command line; None where an option was not given. `columns` are NAME=TEMPLATE, `class_map` THEIRS=OURS.

    Raises:
        ConfigError: two options don't go together, or there is no such form.
    """

    run: str
    images: tuple[str, ...]
    form: str | None = None
    columns: tuple[str, ...] = ()
    labels: str | None = None
    class_map: tuple[str, ...] = ()
    by: str | None = None

    def __post_init__(self) -> None:
        if self.by is not None and self.labels is not None:
            raise ConfigError(
                "--labels scores files by the cases that its table knows, and --by makes rows of cases: give one"
            )
        if self.labels is None and self.class_map:
            raise ConfigError("--map is of the classes of --labels TABLE; give that too")
        if self.form is not None and self.form not in FORMS:
            raise ConfigError(f"--form: {unknown_choice_line('form', self.form, FORMS)}")
        if self.form is not None and self.columns:
            raise ConfigError("give either --form or --column, not both")


@dataclass(frozen=True)
class PredictedImages:
    """The predictions of an ensemble, their columns, and the scores where there are labels.

    `unreadable` has a line for each file, or row of a table, that could not be read; `notes` say what was guessed.
    """

    manifest: Manifest
    columns: Sequence[Column]
    predictions: FilePredictions
    unreadable: Sequence[str]
    scored: ScoredFiles | None
    notes: Sequence[str]

    @property
    def table(self) -> bytes:
        """The predictions as CSV, with a heading for each column."""
        text, heading = io.StringIO(), [column.name for column in self.columns]
        csv.writer(text, lineterminator="\n").writerows([heading, *self.predictions.rows])
        return text.getvalue().encode(errors="surrogateescape")  # a file's name may be any bytes


def run_predict(options: PredictOptions, console: Console) -> PredictedImages:
    """Predict the images, and score those that a table of labels names; nothing is written into the run.

    Raises:
        MedrayError: something a person can correct is wrong, or files of the test split would be scored.
    """
    columns = [parse_column(text, FIELDS if options.by is None else CASE_FIELDS) for text in options.columns]
    found, form_name = find_images(options.images, options.by), options.form or FORMS[0]
    cases = None if options.by is None else file_cases(found, options.by)
    if not columns and cases is None:
        check_row_names(form_name, found.files)
    listing = None if options.labels is None else list_labels(options.labels, found.files)
    with step(console, f"Predicting {plural(len(found.files), 'image')}") as progress:
        ensemble = open_ensemble(options.run)
        rule, label_sets = ensemble.manifest.cases, ensemble.task.label_sets
        if cases is not None and rule is None:
            raise ConfigError(
                f"--by {printable(str(options.by))}: the ensemble answers each image: its search space has no "
                "`cases`; without --by each file has a row"
            )
        columns = columns or form(
            form_name, ensemble.class_names, label_sets=label_sets, by_case=cases is not None
        )
        if cases is None:
            predictions = predict_files(ensemble, found.files, columns, progress)
        else:
            predictions = predict_file_cases(ensemble, cases, columns, progress)
    notes, scored = [*found.notes], None
    if cases is not None and rule is not None:
        notes += [*cases.notes, f"cases: {plural(len(cases.files), 'case')} of {plural(len(found.files), 'file')} "
                  f"by {printable(str(options.by))}; the ensemble's are by {rule.by}: {rule.text}"]  # fmt: skip
    if uses(columns, "index"):
        notes.append(describe_numbers(ensemble.manifest))
    if listing is not None:
        unknown = check_not_test(options.run, predictions.answers)
        rules = run_rules(options.run)
        scored = score_files(predictions.answers, listing, options.class_map, ensemble, rules)
        notes += [*scored.notes, *([unknown] if unknown else [])]
    unreadable = [*found.missing, *predictions.unreadable]
    return PredictedImages(ensemble.manifest, columns, predictions, unreadable, scored, notes)
