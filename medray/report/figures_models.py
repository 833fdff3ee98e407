"""Figures of the models' quality: intervals on the test split, reliability, folds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medray.console_tables import interval, metric_title, number, number_with_sd
from medray.evaluate.scores_document import ReadScores
from medray.report.blocks import Chart, Columns, Table
from medray.report.figure_style import BLUE, GREY, axis, bars, figure, line_look, plain, shortened, spec
from medray.report.model_predictions import ModelPredictions
from medray.runs.crossval_documents import CrossvalSummary
from medray.stats.calibration import Reliability, reliability
from medray.stats.metrics import BINS
from medray.text import plural

ROW = 38  # pixels of a model's row


@dataclass(frozen=True)
class ReliabilityWords:
    """What a reliability diagram says of its axes, lines and counts."""

    probability: str
    share: str
    diagonal: str
    summary: str
    below: str
    counted: str
    head: str
    short: str
    hover: str


OF_CLASSES = ReliabilityWords(
    probability="probability of the predicted class",
    share="share that is right",
    diagonal="as sure as right",
    summary="Share of right predictions by their probability",
    below="A line below the diagonal is too sure of itself",
    counted="images",
    head="how many",
    short="share right",
    hover="sure %{x:.3f}, right %{y:.3f}",
)
OF_LABELS = ReliabilityWords(
    probability="probability of the label",
    share="share that has it",
    diagonal="as many as predicted",
    summary="Share that has a label by its probability, the answers of all labels together",
    below="Below the diagonal labels are rarer than their probabilities say",
    counted="answers",
    head="answers",
    short="share that has it",
    hover="predicted %{x:.3f}, has it %{y:.3f}",
)


def models_chart(scores: ReadScores, metric: str) -> Chart:
    """Return the chart of every model's `metric` on the test images, with its interval."""
    names = [model.name for model in scores.models]
    estimates = [model.scores[metric] for model in scores.models]
    data: Columns = {
        "model": names,
        **{key: [getattr(estimate, key) for estimate in estimates] for key in ("value", "low", "high")},
    }
    chart = figure(
        axis(metric_title(metric)),
        axis("", range=[len(names) - 0.6, -0.9], showticklabels=False, showgrid=False),
        height=ROW * len(names) + 80, showlegend=False,
    )  # fmt: skip
    for row, name in enumerate(names):  # above the interval: beside it, it would not fit a narrow screen
        chart.add_annotation(
            text=plain(shortened(name, 44)), x=0, xref="paper", xanchor="left", y=row, yshift=12, showarrow=False
        )
    chart.add_scatter(
        x=data["value"], y=list(range(len(names))), mode="markers", error_x=bars(data),
        marker={"size": 9, "color": [BLUE] + [GREY] * (len(names) - 1)},
        text=[plain(f"{name}: {interval(estimate)}") for name, estimate in zip(names, estimates, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    summary = f"Each model on {plural(scores.answered, f'test {scores.unit}')}; the table below has the figures."
    ends = ", with 95 % intervals" if any(estimate.low is not None for estimate in estimates) else ""
    title = f"{metric_title(metric)} on the test split{ends}"
    return Chart("test-scores", title, summary, spec(chart), data)


def reliability_chart(sets: Sequence[ModelPredictions]) -> Chart:
    """Return the reliability diagram: accuracy by confidence, one line for each set of predictions.

    Of several labels an image it is of all answers together, each by the probability of its label.
    """
    words = OF_CLASSES if all(predictions.label_sets is None for predictions in sets) else OF_LABELS
    chart = figure(
        axis(words.probability, range=[-0.02, 1.02], tickformat=".1f"),
        axis(words.share, range=[-0.02, 1.02], tickformat=".1f"),
        height=440,
    )
    diagonal = {"color": GREY, "dash": "dot", "width": 1}
    chart.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, name=words.diagonal, hoverinfo="skip")
    data: Columns = {"on": [], "confidence": [], "accuracy": [], "count": [], "calibration_error": []}
    rows = []
    for i, predictions in enumerate(sets):
        bins = reliability(predictions.probabilities, predictions.labels, BINS)
        values = (
            predictions.source,
            *map(list, (bins.confidence, bins.accuracy, bins.count)),
            bins.calibration_error,
        )
        for key, value in zip(data, values, strict=True):
            data[key].append(value)
        chart.add_scatter(**_bins_line(bins, predictions, i, words))
        bounds = [f"{low:.2f} to {high:.2f}" for low, high in bins.edges]
        parts = zip(bounds, bins.count, bins.confidence, bins.accuracy, strict=True)
        rows += [
            [predictions.source, bound, str(n), number(sure), number(right)] for bound, n, sure, right in parts
        ]
    errors = "; ".join(f"{on} {number(e)}" for on, e in zip(data["on"], data["calibration_error"], strict=True))
    summary = (
        f"{words.summary}. Expected calibration error, over {BINS} bins: "
        f"{errors}. {words.below}; the larger a mark, the more {words.counted}."
    )
    head = ["images", "probability", words.head, "mean probability", words.short]
    table = Table("The bins of the reliability diagram", head, rows, folded=True)
    return Chart("reliability", "Reliability", summary, spec(chart), data, table, square=True)


def _bins_line(
    bins: Reliability, predictions: ModelPredictions, index: int, words: ReliabilityWords
) -> dict[str, Any]:
    return {
        "x": list(bins.confidence),
        "y": list(bins.accuracy),
        "mode": "lines+markers",
        "line": {"width": 2, **line_look(index)},
        "marker": {"size": [5 + 13 * math.sqrt(count / max(bins.count)) for count in bins.count]},
        "name": f"{predictions.images} (ECE {number(bins.calibration_error)})",
        "text": [f"{count} {words.counted}" for count in bins.count],
        "hovertemplate": words.hover + ", %{text}<extra></extra>",
    }


def folds_chart(settings: Sequence[CrossvalSummary], metric: str) -> Chart:
    """Return the chart of every fold's metric, and of mean ± standard deviation of each setting."""
    data: Columns = {
        "trial": [setting.trial for setting in settings],
        "folds": [[fold.metrics.get(metric) for fold in setting.folds] for setting in settings],
        "mean": [setting.mean.get(metric) for setting in settings],
        "sd": [setting.std.get(metric) for setting in settings],
    }
    positions = list(range(len(settings)))
    names = [f"trial {trial}" for trial in data["trial"]]
    chart = figure(
        axis("", tickmode="array", tickvals=positions, ticktext=names, range=[-0.6, len(settings) - 0.4]),
        axis(f"{metric_title(metric)} on held-out images"),
    )
    dots = [(x - 0.3 + 0.3 * i / len(values), value, i) for x, values in enumerate(data["folds"])
            for i, value in enumerate(values)]  # fmt: skip
    chart.add_scatter(
        x=[x for x, _, _ in dots], y=[value for _, value, _ in dots], mode="markers", name="a fold",
        marker={"color": BLUE, "size": 8, "opacity": 0.75}, text=[f"fold {i}" for _, _, i in dots],
        hovertemplate="%{text}: %{y:.4f}<extra></extra>",
    )  # fmt: skip
    chart.add_scatter(
        x=[x + 0.15 for x in positions], y=data["mean"], mode="markers", name="mean ± sd",
        error_y={"type": "data", "array": data["sd"], "thickness": 1.5, "width": 6, "color": GREY},
        marker={"color": GREY, "size": 10, "symbol": "diamond"},
        text=list(map(number_with_sd, data["mean"], data["sd"])),
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    summary = "Every fold, and mean ± standard deviation of each setting; the table below has the figures."
    return Chart("folds", f"{metric_title(metric)} over the folds", summary, spec(chart), data)
