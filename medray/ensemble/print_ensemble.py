"""What `medray ensemble` prints, for people and for programs."""

from typing import Any

from rich.console import Console
from rich.table import Table

from medray.console import say
from medray.ensemble.build_ensemble import EnsembleResult
from medray.stats.rates import Proportion

SHOWN = ("auc", "accuracy", "f1_macro", "log_loss")


def print_result(result: EnsembleResult, console: Console) -> None:
    """Print every way side by side, the operating points, and where everything lies."""
    console.print(_ways_table(result))
    say(
        console,
        "ece: expected calibration error, and brier: Brier score, before → after temperature scaling",
    )
    if result.points:
        console.print(_points_table(result))
    chosen, run = result.chosen, result.run
    for sets in result.conformal:
        if sets.quantile is None:
            say(
                console,
                f"Conformal sets at {100 * sets.coverage:g}% coverage: {sets.images} images are too few, so every "
                "set holds every class",
            )
    say(console, _novelty_line(result.manifest["novelty"]))
    kind = {"val": "validation", "out-of-fold": "out-of-fold"}[chosen.chosen_on]
    say(
        console,
        f"All of this was chosen and set on {len(chosen.labels)} {kind} images: expect a little less on new ones.",
    )
    say(console, f"Ensemble: {run.path('ensemble')} ({chosen.title}, {len(chosen.members)} members)")
    say(console, f"Ways:     {run.path(run.WAYS)}")
    say(console, f"Next: python -m medray.evaluate {run.location}")


def _novelty_line(novelty: dict[str, Any] | None) -> str:
    if novelty is None:
        return "Out of distribution: nothing will be flagged; there were no images to set a threshold on"
    return (
        f"Out of distribution: flagged above a score of {novelty['threshold']:.2f}, set on {novelty['images']} "
        f"validation images; expect {100 * novelty['false_alarms']:.2g}% of images like them to be flagged"
    )


def _ways_table(result: EnsembleResult) -> Table:
    metrics = list(dict.fromkeys([result.metric, *SHOWN]))
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for name, justify in (("", "left"), ("way", "left"), ("chosen on", "left"), ("models", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for metric in (*metrics, "ece", "brier"):
        table.add_column(metric, justify="right", no_wrap=True)
    for way in result.ways:
        before, after = way.scores(), way.calibrated_scores()
        shown = [f"{after[m]:z.4f}" if m in after else "–" for m in metrics]
        pairs = [f"{before[m]:.3f} → {after[m]:.3f}" for m in ("calibration_error", "brier")]
        mark = "→" if way is result.chosen else ""
        on = f"{way.chosen_on} ({len(way.labels)})"
        table.add_row(mark, way.title, on, str(len(way.members)), *shown, *pairs)
    return table


def _points_table(result: EnsembleResult) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold", title_justify="left")
    for name in ("operating point", "positive from", "sensitivity", "specificity", "PPV", "NPV"):
        table.add_column(name, justify="left" if name == "operating point" else "right", no_wrap=True)
    for point in result.points:
        rates = point.rates
        shown = [_share(p) for p in (rates.sensitivity, rates.specificity, rates.ppv, rates.npv)]
        table.add_row(f"{point.name} ({point.positive})", f"{point.threshold:.4f}", *shown)
    return table


def _share(proportion: Proportion) -> str:
    """A share with its 95 % interval, as 0.952 [0.901, 0.982]."""
    if proportion.value is None:
        return "–"
    return f"{proportion.value:.3f} [{proportion.low:.3f}, {proportion.high:.3f}]"


def to_json(result: EnsembleResult) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "run": result.run.location,
        "metric": result.metric,
        "ways": [way.to_dict() for way in result.ways],
        "chosen": {"name": result.chosen.name, "source": result.chosen.source},
        "operating_points": [point.to_dict() for point in result.points],
        "conformal_sets": [sets.to_dict() for sets in result.conformal],
        "novelty": result.manifest["novelty"],
        "ensemble": result.run.path("ensemble"),
    }
