"""Print the result of `medray ensemble`, as text or as JSON."""

from typing import Any

from rich.console import Console

from medray.console import say
from medray.console_tables import Columns, interval, print_table
from medray.decisions.promises import CALIBRATION
from medray.ensemble.build_ensemble import EnsembleResult
from medray.stats.case_rule import title_with, unit_of

IMAGES = {"val": "validation", "out-of-fold": "out-of-fold"}


def print_result(result: EnsembleResult, console: Console, *, hints: bool = True) -> None:
    """Print all selections side by side, the operating points, and the paths of what was written.

    With `hints` the command that comes next is named.
    """
    selected, run, manifest = result.selected, result.run, result.manifest
    _print_selections(result, console)
    say(
        console,
        "ece: expected calibration error, and brier: Brier score, before → after temperature scaling",
    )
    if manifest.operating_points:
        _print_points(result, console)
    if result.without_point:
        names = ", ".join(result.without_point)
        say(
            console,
            f"No operating point of {names}: no image tells one, as none has the label, or none is without",
        )
    for sets in manifest.conformal_sets:
        if sets.quantile is None and sets.event is not None:
            of_label = f"Conformal sets of '{sets.event.name}' at {100 * sets.coverage:g}% coverage"
            say(console, f"{of_label}: {sets.images} images with it are too few, so it is never ruled out")
        elif sets.quantile is None:
            say(
                console,
                f"Conformal sets at {100 * sets.coverage:g}% coverage: {sets.images} "
                f"{unit_of(manifest.cases)}s are too few, so every set holds every class",
            )
    if manifest.ood is None:
        say(console, "Out of distribution: nothing will be flagged; there were no images to set a threshold on")
    else:
        facts = manifest.ood.facts
        say(
            console,
            f"Out of distribution: flagged above a score of {facts.threshold:.2f}, set on {facts.images} "
            f"validation images; expect {100 * facts.false_alarms:.2g}% of images like them to be flagged",
        )
    _print_basis(result, console)
    say(console, f"Ensemble:   {run.path(run.ENSEMBLE)} ({selected.title}, {len(selected.members)} members)")
    say(console, f"Selections: {run.path(run.SELECTION)}")
    if hints:
        say(console, f"Next: medray evaluate {run.location}")


def _print_basis(result: EnsembleResult, console: Console) -> None:
    """Say which images the figures come from, and what they promise about new ones."""
    selected, splits = result.selected, result.manifest.data.splits
    unit = unit_of(selected.cases)
    images = f"{len(selected.labels)} {IMAGES[selected.selected_on]} {unit}s"
    set_on = splits.get(CALIBRATION)
    if selected.calibrated_on == CALIBRATION and set_on is not None:
        number = set_on.images if set_on.cases is None else set_on.cases
        text = (
            f"Members were selected on {images}, so their scores there are a little too good. Temperature, points "
            f"and sets were set on {number} calibration {unit}s, which neither trained nor selected a network: "
            f"what they promise holds on average for new {unit}s like these."
        )
    else:
        text = (
            f"Members, temperature, points and sets were all set on {images}, which also selected the networks: "
            f"nothing is promised about new {unit}s, and figures are lower. Promises need a calibration split: "
            "`splits: {calibration: 0.2}` in the search space, or more images."
        )
    say(console, text)


def _print_selections(result: EnsembleResult, console: Console) -> None:
    selections = result.selections
    before = [selection.scores for selection in selections]
    after = [selection.calibrated_scores for selection in selections]
    columns: Columns = [
        ("selected on", [f"{selection.selected_on} ({len(selection.labels)})" for selection in selections]),
        ("models", [str(len(selection.members)) for selection in selections]),
    ]
    for metric in result.selected.task.table_metrics(result.metric):
        columns.append((metric, [f"{scores[metric]:z.4f}" if metric in scores else "–" for scores in after]))
    for title, metric in (("ece", "calibration_error"), ("brier", "brier")):
        columns.append((title, [f"{b[metric]:.3f} → {a[metric]:.3f}" for b, a in zip(before, after, strict=True)]))
    labels = [f"{'→' if selection is result.selected else ' '} {selection.title}" for selection in selections]
    print_table(console, title_with(result.selected.cases, "Selections of members"), labels, columns)


def _print_points(result: EnsembleResult, console: Console) -> None:
    points = result.manifest.operating_points
    rates = [point.rates for point in points]
    columns = [
        ("positive from", [f"{point.threshold:.4f}" for point in points]),
        ("promised", [f"{point.promised:g}" if point.promised else "nothing" for point in points]),
        ("sensitivity", [interval(rate.sensitivity) for rate in rates]),
        ("specificity", [interval(rate.specificity) for rate in rates]),
        ("PPV", [interval(rate.ppv) for rate in rates]),
        ("NPV", [interval(rate.npv) for rate in rates]),
    ]
    labels = [f"{point.name} ({point.positive})" for point in points]
    unit = unit_of(result.manifest.cases)
    print_table(
        console, f"Operating points, on the {unit}s they were set on ({points[0].set_on})", labels, columns
    )
    for point in points:
        if point.rule.kind == "sensitivity" and point.set_on == CALIBRATION and point.promised is None:
            say(
                console,
                f"{point.name}: {point.independent_cases:.3g} independent calibration {unit}s of "
                f"'{point.positive}' are too few to promise it; the threshold is below all of them",
            )


def to_json(result: EnsembleResult) -> dict[str, Any]:
    """Return the same as plain values."""
    manifest = result.manifest.to_dict()
    return {
        "run": result.run.location,
        "metric": result.metric,
        "selections": [selection.facts().to_dict() for selection in result.selections],
        "selected": {"strategy": result.selected.strategy, "source": result.selected.source},
        **{name: manifest[name] for name in ("operating_points", "conformal_sets", "ood", "cases")},
        "ensemble": result.run.path(result.run.ENSEMBLE),
    }
