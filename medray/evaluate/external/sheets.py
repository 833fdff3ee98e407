"""One reading of other images as tables and sentences, for the terminal and the report alike."""

from collections.abc import Iterator

from medray.console_tables import Columns, metric_title
from medray.data.similarity.centre_crops import LOOKED_FOR as CENTRE_CROPS
from medray.data.similarity.duplicates import LOOKED_FOR
from medray.evaluate.external.documents import ExternalComparison, ExternalScores
from medray.evaluate.external.figure_sheets import classes_sheet, figure_sheets
from medray.evaluate.external.recalibration import PART
from medray.evaluate.external.run_external import ExternalEvaluation
from medray.evaluate.external.sheet import (
    EXTERNAL,
    Sheet,
    beside_columns,
    figure,
    missing_differences,
    missing_intervals,
)
from medray.evaluate.external.shifts import Shifts
from medray.evaluate.read_count import times
from medray.tasks import TASKS
from medray.text import first_names, plural

NAMED = 4
RECALIBRATED = "What a recalibration on some of the external images would give; the ensemble stays as it is"


def external_sheets(evaluation: ExternalEvaluation, digits: int = 3) -> Iterator[Sheet]:
    """Yield all tables of a reading, with intervals in so many `digits`."""
    scores, comparison = evaluation.scores, evaluation.comparison
    word = "label" if TASKS[scores.task].label_sets else "class"
    yield classes_sheet(scores.classes, word)
    internal = evaluation.internal
    calibration = {} if internal is None else {row.name: row.calibration for row in internal.reviewed.classes}
    yield from figure_sheets(scores.figures, scores.task, scores.metric, digits, comparison, calibration)
    yield from _recalibrated(scores, digits)
    if scores.shifts is not None:
        yield from _shifts(scores, scores.shifts, digits)
    if scores.copies is not None and scores.copies.figures is not None:
        yield _without_copies(scores, comparison, digits)


def opening_lines(evaluation: ExternalEvaluation) -> list[str]:
    """Return what was measured, how, and what stands beside it, a sentence each."""
    scores = evaluation.scores
    label_sets, missing = TASKS[scores.task].label_sets, ", ".join(scores.figures.missing_classes)
    temperature = "temperatures" if label_sets else "temperature"
    lines = [
        f"External images: {scores.source}, {scores.sample}. The ensemble, its {temperature} and its thresholds "
        "are as they were."
    ]
    if missing and label_sets:
        lines.append(f"Unknown of every image there, so in no figure: {missing}.")
    elif missing:
        lines.append(
            f"No image there is of {missing}: figures that need every class have no value, averages of precision, "
            "recall and F1 are over the classes there are."
        )
    if evaluation.internal is None:
        lines.append(
            "There are no figures of the run's own test split by this ensemble to set beside these; first: "
            f"medray evaluate {evaluation.run.location}"
        )
    else:
        internal = evaluation.internal
        lines.append(
            f"Internal is the run's own test split, {plural(internal.answered, internal.unit)}, as it was read on "
            f"{internal.time}; it is not read again. Differences are external less internal, with 95 % intervals "
            "for two sets that are independent."
        )
    return [*lines, *copies_lines(scores)]


def copies_lines(scores: ExternalScores) -> list[str]:
    """Return what is known of copies between both sets, a sentence each."""
    if scores.copies is None:
        return [f"NOT COMPARED with the run's images, so copies and shifts are unknown: {scores.problem}"]
    copies = scores.copies
    if not copies.left_out:
        return [f"No image there is a copy of one of the run's. Looked for: {LOOKED_FOR}, and {CENTRE_CROPS}."]
    lines = [
        f"COPIES: of {plural(scores.figures.images, 'image')} {copies.seen:,} have a copy among those that the "
        f"run trained, selected or calibrated on, {copies.in_test:,} in its test split: for them this is no "
        f"external set ({first_names(list(copies.examples), NAMED)})."
    ]
    if copies.in_test:
        lines.append(
            "Reading copies of test images is reading the test split; external and internal are then not "
            "independent, and the intervals of the differences do not hold."
        )
    if 2 * copies.left_out > scores.figures.images:
        lines.append("Most images are copies: the two sets have one origin, and the rest may be copies unseen.")
    if copies.figures is None:
        lines.append(f"Without them too few are left to be measured: {plural(copies.images, 'image')}.")
    return lines


def closing_line(evaluation: ExternalEvaluation) -> str:
    """Return how often the images were read, as a sentence."""
    total = evaluation.by_run + evaluation.by_others
    others = f", {evaluation.by_others} of them by other runs" if evaluation.by_others else ""
    return (
        f"These external images have been read {times(total)}{others}; this does not count as a read of the test "
        f"split. Figures: {evaluation.read.folder.location}"
    )


def _recalibrated(scores: ExternalScores, digits: int) -> Iterator[Sheet]:
    local, title = scores.recalibration, RECALIBRATED
    if not local.methods:
        yield Sheet(title, "", [], [], (f"Not measured: {local.reason}.",))
        return
    methods, units = local.methods, "images" if scores.rule is None else "cases"
    columns: Columns = [
        (metric_title(name), [figure(method.scores[name], digits) for method in methods])
        for name in methods[0].scores
    ]
    lines = [
        f"Fitted on {local.fitted} random {units} (about {PART:.0%}; patients and copies on one side; "
        f"seed {local.seed}), measured on the other {local.measured}."
    ]
    temperature, intercepts = methods[1], methods[2]
    if not TASKS[scores.task].label_sets:
        pairs = zip(scores.class_names, intercepts.intercepts, strict=True)
        biases = ", ".join(f"'{name}' {value:+.2f}" for name, value in pairs)
        lines.append(
            f"Temperature alone {temperature.temperatures[0]:.2f}; with intercepts "
            f"{intercepts.temperatures[0]:.2f}, intercepts of log-odds {biases}."
        )
    yield Sheet(title, "", [method.name for method in methods], columns, tuple(lines))
    if TASKS[scores.task].label_sets:
        columns = [
            ("temperature alone", [f"{value:.2f}" for value in temperature.temperatures]),
            ("with intercept", [f"{value:.2f}" for value in intercepts.temperatures]),
            ("intercept of log-odds", [f"{value:+.2f}" for value in intercepts.intercepts]),
        ]
        line = "A label that no image of the part has, or every one, keeps its probabilities: 1 and 0."
        yield Sheet("That recalibration by label", "label", list(scores.class_names), columns, (line,))


def _shifts(scores: ExternalScores, shifts: Shifts, digits: int) -> Iterator[Sheet]:
    word = "label" if TASKS[scores.task].label_sets else "class"
    columns: Columns = [
        (EXTERNAL, [figure(row.external, digits) for row in shifts.classes]),
        ("run's", [figure(row.run, digits) for row in shifts.classes]),
        ("difference", [figure(row.difference, digits, sign=True) for row in shifts.classes]),
    ]
    by_case = "" if scores.rule is None else f" by {scores.rule.by}"
    title = (
        f"Share of each {word}{by_case}, beside the {shifts.images:,} images that the run trained and selected on"
    )
    yield Sheet(title, word, [row.name for row in shifts.classes], columns)
    looks = shifts.looks
    columns = [
        (EXTERNAL, [f"{row.external_mean:.1f} ± {row.external_sd:.1f}" for row in looks]),
        ("run's", [f"{row.run_mean:.1f} ± {row.run_sd:.1f}" for row in looks]),
        ("run's SDs apart", ["–" if row.effect is None else f"{row.effect:+.2f}" for row in looks]),
    ]
    lines = []
    if shifts.run_size and shifts.external_size:
        (height, width), (run_height, run_width) = shifts.external_size, shifts.run_size
        lines.append(
            f"Before resizing, the median image was {height:g}×{width:g} there, {run_height:g}×{run_width:g} here."
        )
    if shifts.out_of_distribution is not None:
        lines.append(
            f"Out of distribution: {figure(shifts.out_of_distribution, 3)} of the external images, by the "
            f"ensemble's detector; of images like the run's it flags {shifts.expected:.3f}."
        )
    yield Sheet(
        "Looks, as the networks see the images: mean ± SD", "", [r.name for r in looks], columns, tuple(lines)
    )
    for column in shifts.columns:
        values = list(column.external or column.run)
        columns = [
            (title, [figure(side[value], digits) if side else "no such column" for value in values])
            for title, side in ((EXTERNAL, column.external), ("run's", column.run))
        ]
        yield Sheet(f"Share of each {column.column}", column.column, values, columns)


def _without_copies(scores: ExternalScores, comparison: ExternalComparison | None, digits: int) -> Sheet:
    copies = scores.copies
    assert copies is not None
    figures = copies.figures
    assert figures is not None
    shown = TASKS[scores.task].table_metrics(scores.metric, calibration=True)
    rows = {name: figures.scores[name] for name in shown}
    beside = {} if comparison is None else comparison.without_copies
    columns = beside_columns(rows, beside, digits)
    cases = "" if figures.cases is None else f"{plural(figures.cases, 'case')} of "
    title = f"Without copies of the run's images: {cases}{plural(copies.images, 'image')}"
    lines = (*missing_intervals(rows), *missing_differences(rows, beside))
    return Sheet(title, "", [metric_title(name) for name in rows], columns, lines)
