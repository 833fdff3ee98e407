"""Can one trust it: folds, calibration, mistakes and doubtful labels, and the data themselves."""

from medray.console_tables import METRIC_TITLES, metric_title, number
from medray.report.answers import OUT_OF_FOLD
from medray.report.blocks import Block, Gallery, Matrix, Table, Text, missing
from medray.report.evidence import Evidence
from medray.report.figures_answers import folds_chart, reliability_chart
from medray.report.figures_roc import points_table, roc_chart
from medray.report.image_album import MOST, doubted, most_wrong
from medray.runs.documents import DataFacts, SettingSummary
from medray.stats.metrics import confusion_matrix


def lead(found: Evidence) -> list[Block]:
    """Where the figures of this section come from, and what they are worth."""
    answers = found.own
    if answers is None:
        return [Text("No trial has ended yet.")]
    seen = (
        "each by networks that were not trained on it"
        if answers.on == OUT_OF_FOLD
        else "on which epochs, trials and members were chosen"
    )
    who = "the ensemble" if answers.who == "ensemble" else answers.who
    return [Text(f"Below, {who} is looked at on {answers.images}, {seen}: expect a little less on new ones.")]


def folds(found: Evidence) -> list[Block]:
    """Each fold, and mean ± sd of each cross-validated setting."""
    if not found.settings:
        return [missing("There is no whole cross-validation. Whether the best settings were lucky is told by",
                        found.command("crossval"))]  # fmt: skip
    summaries = [found.fold_summary(setting.number) for setting in found.settings]
    metrics = list(dict.fromkeys([found.metric, *METRIC_TITLES]))
    rows = [
        [f"trial {summary.trial}", str(len(summary.folds)), *(_spread(summary, metric) for metric in metrics)]
        for summary in summaries
    ]
    caption = f"Mean ± standard deviation over the folds, which divide {summaries[0].images} images"
    head = ["setting", "folds", *map(metric_title, metrics)]
    note = "Each fold keeps the weights of its best epoch by the images that it holds out: a little optimistic."
    return [folds_chart(summaries, found.metric), Table(caption, head, rows), Text(note, "note")]


def _spread(summary: SettingSummary, metric: str) -> str:
    mean, sd = summary.mean.get(metric), summary.std.get(metric)
    return number(mean) if sd is None else f"{number(mean)} ± {number(sd)}"


def calibration(found: Evidence) -> list[Block]:
    """Whether a probability can be taken at its word."""
    sets = [answers for answers in (found.own, found.tested) if answers is not None]
    if not sets:
        return []
    blocks: list[Block] = [reliability_chart(sets)]
    if found.manifest is None or not found.run.exists(found.run.SELECTION):
        blocks.append(missing("No temperature has been fitted; one is by", found.command("ensemble")))
    else:
        temperature = found.manifest.temperature
        blocks.append(
            Text(f"Temperature {temperature:.3f}, fitted on the images that the ensemble was chosen on.")
        )
    return blocks


def mistakes(found: Evidence) -> list[Block]:
    """ROC curves and the confusion matrix of images that are not the test split's."""
    answers = found.own
    if answers is None:
        return []
    points = () if found.manifest is None else found.manifest.operating_points
    drawn = [point.to_dict() for point in points if point.set_on == answers.on]
    chart = roc_chart(answers, found.classes, drawn)
    counts = confusion_matrix(answers.labels, answers.predicted, len(found.classes)).tolist()
    caption = f"{answers.who} on {answers.images}: true class by row, predicted by column"
    matrix = Matrix(f"confusion-{answers.on}", caption[0].upper() + caption[1:], found.classes, counts)
    shown = [points_table(drawn, answers)] if drawn and found.scores is None else []  # else beside the test's
    return [matrix, *([chart] if chart else []), *shown]


def pictures(found: Evidence) -> list[Block]:
    """Labels that the folds doubt; without folds, the images that were got most wrong on validation."""
    table = found.doubted
    if table is not None:
        shown = doubted(table, found.run.crossval.path(found.run.crossval.ISSUES))
        caption = f"Labels that the folds doubt (Northcutt et al. 2021): {{}} of {len(shown)}"
        nothing = "The folds doubt no label."
    elif (answers := found.own) is not None:
        shown = most_wrong(answers, found.classes)
        wrong = int((answers.predicted != answers.labels).sum())
        caption = f"Got most wrong: {{}} of the {wrong} mistakes on {answers.images}"
        nothing = f"No mistake on {answers.images}."
    else:
        return []
    if not shown:
        return [Text(nothing)]
    shown = shown[:MOST]
    if found.album.dataset is None:
        rows = [[lines[-1], *lines[:-1]] for _, lines in shown]
        listed = Table(caption.format(len(shown)), ["image", "label", "answer"], rows, frozenset({1, 2}))
        return [Text(f"The images can't be shown: {found.album.why_not}.", "note"), listed]
    return [
        Text("Look before a label is changed. These pictures are inside this file: mind who gets it.", "note"),
        Gallery(caption.format(len(shown)), found.album.pictures(shown)),
    ]


def data(found: Evidence) -> list[Block]:
    """Counts by class and split, and what the audit found before the search began."""
    facts = found.data
    splits = facts.splits
    names = found.classes
    rows = [
        [name, *(str(own.classes[c]) for own in splits.values()),
         str(sum(own.classes[c] for own in splits.values()))]
        for c, name in enumerate(names)
    ]  # fmt: skip
    rows.append(["all", *(str(own.images) for own in splits.values()), str(facts.images)])
    return [Table("Images by class and split", ["class", *splits, "all"], rows), *_facts(facts), *_leaks(facts)]


def _facts(facts: DataFacts) -> list[Block]:
    height, width, channels = facts.shape
    known = f"{facts.patients} patients" if facts.patients else "which patient an image is of is not known"
    colours = "grey" if channels == 1 else "in colours"
    said = [Text(f"{facts.source}: {height}×{width} pixels, {colours}; {known}.")]
    return [*said, *(Text(note, "note") for note in facts.notes)]


def _leaks(facts: DataFacts) -> list[Block]:
    if not facts.leaks:
        return [Text("No leak was found: no image, copy or known patient stands in two splits.")]
    return [Text(f"LEAK: {leak.text}", "warning") for leak in facts.leaks]


def selections(found: Evidence) -> list[Block]:
    """Every selection of members, on the images that it was selected on."""
    comparison = found.selections
    if comparison is None:
        return [missing("Selections of members are compared by", found.command("ensemble"))]
    metrics = list(dict.fromkeys([comparison.metric, "accuracy", "log_loss", "calibration_error"]))
    rows = [
        [
            selection.title,
            "selected" if selection is comparison.of_ensemble else "",
            f"{selection.images} {selection.selected_on}",
            str(len(selection.members)),
            *(number(selection.calibrated_scores.get(metric)) for metric in metrics),
        ]
        for selection in comparison.selections
    ]
    head = ["selection", "", "selected on", "networks", *map(metric_title, metrics)]
    return [Table("Selections of the ensemble's members, after the temperature", head, rows, frozenset({1, 2}))]
