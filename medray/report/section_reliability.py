"""Can one trust it: folds, calibration, mistakes and doubtful labels, the data, the selections of members."""

from medray.console_tables import metric_title, number, number_with_sd
from medray.data.similarity.duplicates import LOOKED_FOR
from medray.decisions.promises import CALIBRATION
from medray.decisions.temperature import temperature_text
from medray.evaluate.label_tables import CONFUSION_TITLES
from medray.report.blocks import Block, Gallery, Matrix, Table, Text, missing
from medray.report.evidence import Evidence
from medray.report.figures_models import folds_chart, reliability_chart
from medray.report.figures_roc import points_table, roc_chart
from medray.report.image_album import MAX_PICTURES, label_issue_captions, worst_mistakes
from medray.report.model_predictions import OUT_OF_FOLD
from medray.stats.metrics import confusion_matrix
from medray.text import plural


def predictions_lead(evidence: Evidence) -> list[Block]:
    """Return which predictions this section is about."""
    predictions = evidence.predictions
    if predictions is None:
        return [Text("No trial has ended yet.")]
    images = (
        "each by networks that were not trained on it"
        if predictions.source == OUT_OF_FOLD
        else "on which epochs, trials and members were selected"
    )
    subject = f"the predictions of {predictions.model} for {predictions.images}"
    return [Text(f"Below are {subject}, {images}: expect a little less on new ones.")]


def folds(evidence: Evidence) -> list[Block]:
    """Return each fold, and mean ± standard deviation of each cross-validated setting."""
    if not evidence.crossval_trials:
        command = evidence.command("crossval")
        return [missing("No cross-validation is finished; it shows whether the best settings were lucky", command)]
    summaries = [evidence.run.crossval.read_summary(trial.number) for trial in evidence.crossval_trials]
    metrics = evidence.task.table_metrics(evidence.metric, calibration=True)
    baselines = {row["trial"]: row["baseline"] for row in evidence.trial_rows}
    rows = [
        [
            " ".join(filter(None, (f"trial {summary.trial}", baselines.get(summary.trial)))),
            str(len(summary.folds)),
            *(number_with_sd(summary.mean.get(metric), summary.std.get(metric)) for metric in metrics),
        ]
        for summary in summaries
    ]  # fmt: skip
    caption = f"Mean ± standard deviation over the folds, which divide {summaries[0].images} images"
    if summaries[0].cases is not None:
        caption += f" of {plural(summaries[0].cases, 'case')}; scores are by case"
    head = ["setting", "folds", *map(metric_title, metrics)]
    note = (
        "Each fold keeps the weights of its best epoch by the images that it holds out: a little optimistic, in "
        "simulations by 0.00 to 0.07 of AUC, the more the fewer images."
    )
    chart = folds_chart(summaries, evidence.metric)
    blocks: list[Block] = [chart, Table(caption, head, rows), Text(note, "note")]
    gain = evidence.run.crossval.read_gain()
    return blocks if gain is None else [*blocks, Text(gain.line)]


def calibration(evidence: Evidence) -> list[Block]:
    """Return the reliability diagram and the temperature."""
    sets = [item for item in (evidence.predictions, evidence.test_predictions) if item is not None]
    if not sets:
        return []
    if evidence.manifest is None or evidence.selections is None:
        temperature = missing("No temperature has been fitted; one is by", evidence.command("ensemble"))
    else:
        text = temperature_text(evidence.manifest.temperatures)
        fitted = f"{text[0].upper()}{text[1:]}, fitted on"
        if evidence.manifest.calibrated_on == CALIBRATION:
            temperature = Text(f"{fitted} calibration images, which neither trained nor selected a network.")
        else:
            temperature = Text(f"{fitted} the images that the ensemble was selected on: it promises nothing.")
    return [reliability_chart(sets), temperature]


def mistakes(evidence: Evidence) -> list[Block]:
    """Return the confusion matrix, or counts by label, and ROC curves on images that are not the test split's."""
    predictions = evidence.predictions
    if predictions is None:
        return []
    points = () if evidence.manifest is None else evidence.manifest.operating_points
    rated = [(point, point.rates) for point in points if point.set_on == predictions.source]
    names = evidence.data.class_names
    chart = roc_chart(predictions, evidence.task.events(names), rated)
    model = f"{predictions.model[0].upper()}{predictions.model[1:]} on {predictions.images}"
    if (sets := predictions.label_sets) is not None:
        caption = f"{model}: images by label, called from a probability of one half"
        rows = [[name, *map(str, cells)] for name, cells in zip(names, sets.confusion.tolist(), strict=True)]
        counts: Block = Table(caption, ["label", *CONFUSION_TITLES], rows)
    else:
        caption = f"{model}: true class by row, predicted by column"
        matrix = confusion_matrix(predictions.labels, predictions.predicted, len(names)).tolist()
        counts = Matrix(f"confusion-{predictions.source}", caption, names, matrix)
    # With scores, the points stand beside their rates on the test split.
    table = []
    if points and evidence.scores is None:
        set_on = [
            (point, f"{point.set_on}, promised: {point.promised or 'nothing'}", point.rates) for point in points
        ]
        table.append(points_table("Operating points, on the images that set them", set_on))
    return [counts, *([chart] if chart else []), *table]


def pictures(evidence: Evidence) -> list[Block]:
    """Return the label issues that folds have found; without folds, the worst mistakes on validation."""
    table = evidence.label_issues
    if table is not None:
        crossval = evidence.run.crossval
        captions = label_issue_captions(table, crossval.path(crossval.ISSUES), label_sets=evidence.label_sets)
        title = f"Labels that the folds doubt: {{}} of {len(captions)}"
        nothing = "The folds doubt no label."
    elif (predictions := evidence.predictions) is not None:
        captions = worst_mistakes(predictions, evidence.data.class_names)
        title = f"Worst mistakes: {{}} of {predictions.mistakes} on {predictions.images}"
        nothing = f"No mistake on {predictions.images}."
    else:
        return []
    if not captions:
        return [Text(nothing)]
    captions = captions[:MAX_PICTURES]
    title = title.format(len(captions))
    if evidence.album.dataset is None:
        rows = [[lines[-1], *lines[:-1]] for _, lines in captions]
        listed = Table(title, ["image", "label", "prediction"], rows, frozenset({1, 2}))
        return [Text(f"The images can't be shown: {evidence.album.why_not}.", "note"), listed]
    return [
        Text("Look before a label is changed: a model can be sure and wrong.", "note"),
        Text("These pictures are inside this file: mind who gets it.", "note"),
        Gallery(title, evidence.album.pictures(captions)),
    ]


def data(evidence: Evidence) -> list[Block]:
    """Return the counts by class and split, and what was found in the data before the search began."""
    facts = evidence.data
    splits = facts.splits.values()
    rows = [
        [name, *(str(split.classes[c]) for split in splits), str(sum(split.classes[c] for split in splits))]
        for c, name in enumerate(facts.class_names)
    ]
    if counts := [facts.label_counts[name] for name in facts.splits if facts.label_counts]:
        totals = zip(*counts, strict=True)
        rows += [
            [title, *map(str, row), str(sum(row))]
            for title, row in zip(("no label", "one label", "several labels"), totals, strict=True)
        ]
    rows.append(["all", *(str(split.images) for split in splits), str(facts.images)])
    cases = [split.cases for split in splits if split.cases is not None]
    if cases:
        rows.append([f"cases, by {facts.cases.by if facts.cases else ''}", *map(str, cases), str(sum(cases))])
    height, width, channels = facts.shape
    patients = f"{facts.patients} patients" if facts.patients else "which patient an image is of is not known"
    colours = "grey" if channels == 1 else "in colours"
    leaks = [Text(f"LEAK: {leak.text}", "warning") for leak in facts.leaks]
    ends = "patients" if facts.patients else "not patients, as they are not known"
    no_leak = f"No leak was found. Looked for in two splits: {LOOKED_FOR}, most of which are found; and {ends}."
    return [
        Table(f"Images by {evidence.noun} and split", [evidence.noun, *facts.splits, "all"], rows),
        Text(f"{facts.source}: {height}×{width} pixels, {colours}; {patients}."),
        *(Text(note, "note") for note in facts.notes),
        *(leaks or [Text(no_leak)]),
    ]


def selections(evidence: Evidence) -> list[Block]:
    """Return every selection of members, on the images that it was selected on."""
    comparison = evidence.selections
    if comparison is None:
        return [missing("Selections of members are compared by", evidence.command("ensemble"))]
    metrics = list(dict.fromkeys([comparison.metric, evidence.task.share, "log_loss", "calibration_error"]))
    rows = [
        [
            selection.title,
            "selected" if selection is comparison.of_ensemble else "",
            f"{selection.images} {selection.selected_on}" + (" cases" if evidence.data.cases else ""),
            str(len(selection.members)),
            *(number(selection.calibrated_scores.get(metric)) for metric in metrics),
        ]
        for selection in comparison.selections
    ]
    head = ["selection", "", "selected on", "networks", *map(metric_title, metrics)]
    return [Table("Selections of the ensemble's members, after the temperature", head, rows, frozenset({1, 2}))]
