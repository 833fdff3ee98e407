"""Figures of what models are worth: the test split's intervals, reliability, folds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medray.console_tables import interval, metric_title, number
from medray.report.answers import Answers
from medray.report.blocks import Chart, Columns, Table
from medray.report.figure_style import BLUE, GREY, axis, bars, cut, figure, line_look, plain, spec
from medray.runs.documents import SettingSummary
from medray.stats.calibration import Reliability, reliability
from medray.stats.metrics import BINS

ROW = 38  # pixels of a model's row


def models_chart(scores: Mapping[str, Any], metric: str) -> Chart:
    """The run's metric of every model on the test images, with its interval."""
    models = scores["models"]
    own = [model["scores"][metric] for model in models]
    data: Columns = {
        "model": [model["name"] for model in models],
        **{key: [one[key] for one in own] for key in ("value", "low", "high")},
    }
    drawn = figure(
        axis(metric_title(metric)),
        axis("", range=[len(models) - 0.6, -0.9], showticklabels=False, showgrid=False),
        height=ROW * len(models) + 80, showlegend=False,
    )  # fmt: skip
    for place, name in enumerate(data["model"]):  # above its interval: beside it, it would take a narrow screen
        drawn.add_annotation(
            text=plain(cut(name, 44)), x=0, xref="paper", xanchor="left", y=place, yshift=12, showarrow=False
        )
    drawn.add_scatter(
        x=data["value"], y=list(range(len(models))), mode="markers", error_x=bars(data),
        marker={"size": 9, "color": [BLUE] + [GREY] * (len(models) - 1)},
        text=[plain(f"{name}: {interval(one)}") for name, one in zip(data["model"], own, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    summary = f"Each model on {scores['images']} test images; the table below has the figures."
    title = f"{metric_title(metric)} on the test split, with 95 % intervals"
    return Chart("test-scores", title, summary, spec(drawn), data)


def reliability_chart(sets: Sequence[Answers]) -> Chart:
    """How often a prediction is right, by how sure it is; one line for each set of images."""
    drawn = figure(
        axis("probability of the predicted class", range=[-0.02, 1.02], tickformat=".1f"),
        axis("share that is right", range=[-0.02, 1.02], tickformat=".1f"),
        height=440,
    )
    diagonal = {"color": GREY, "dash": "dot", "width": 1}
    drawn.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, name="as sure as right", hoverinfo="skip")
    data: Columns = {"on": [], "confidence": [], "accuracy": [], "count": [], "calibration_error": []}
    rows = []
    for place, answers in enumerate(sets):
        bins = reliability(answers.probabilities, answers.labels, BINS)
        values = (answers.on, *map(list, (bins.confidence, bins.accuracy, bins.count)), bins.calibration_error)
        for key, value in zip(data, values, strict=True):
            data[key].append(value)
        drawn.add_scatter(**_bins_line(bins, answers, place))
        bounds = [f"{low:.2f} to {high:.2f}" for low, high in bins.edges]
        parts = zip(bounds, bins.count, bins.confidence, bins.accuracy, strict=True)
        rows += [[answers.on, bound, str(n), number(sure), number(right)] for bound, n, sure, right in parts]
    errors = "; ".join(f"{on} {number(e)}" for on, e in zip(data["on"], data["calibration_error"], strict=True))
    summary = (
        f"Share of right predictions by their probability. Expected calibration error, over {BINS} bins: "
        f"{errors}. A line below the diagonal is too sure of itself; the larger a mark, the more images."
    )
    head = ["images", "probability", "how many", "mean probability", "share right"]
    table = Table("The bins of the reliability diagram", head, rows, folded=True)
    return Chart("reliability", "Reliability", summary, spec(drawn), data, table, square=True)


def _bins_line(bins: Reliability, answers: Answers, place: int) -> dict[str, Any]:
    return {
        "x": list(bins.confidence),
        "y": list(bins.accuracy),
        "mode": "lines+markers",
        "line": {"width": 2, **line_look(place)},
        "marker": {"size": [5 + 13 * math.sqrt(count / max(bins.count)) for count in bins.count]},
        "name": f"{answers.images} (ECE {number(bins.calibration_error)})",
        "text": [f"{count} images" for count in bins.count],
        "hovertemplate": "sure %{x:.3f}, right %{y:.3f}, %{text}<extra></extra>",
    }


def folds_chart(settings: Sequence[SettingSummary], metric: str) -> Chart:
    """Every fold's metric, and mean ± standard deviation of each setting; `settings` are summary.json."""
    data: Columns = {
        "trial": [setting.trial for setting in settings],
        "folds": [[fold.metrics.get(metric) for fold in setting.folds] for setting in settings],
        "mean": [setting.mean.get(metric) for setting in settings],
        "sd": [setting.std.get(metric) for setting in settings],
    }
    places = list(range(len(settings)))
    names = [f"trial {trial}" for trial in data["trial"]]
    drawn = figure(
        axis("", tickmode="array", tickvals=places, ticktext=names, range=[-0.6, len(settings) - 0.4]),
        axis(f"{metric_title(metric)} on held-out images"),
    )
    dots = [(place - 0.3 + 0.3 * i / len(own), value, i) for place, own in enumerate(data["folds"])
            for i, value in enumerate(own)]  # fmt: skip
    drawn.add_scatter(
        x=[x for x, _, _ in dots], y=[value for _, value, _ in dots], mode="markers", name="a fold",
        marker={"color": BLUE, "size": 8, "opacity": 0.75}, text=[f"fold {i}" for _, _, i in dots],
        hovertemplate="%{text}: %{y:.4f}<extra></extra>",
    )  # fmt: skip
    drawn.add_scatter(
        x=[place + 0.15 for place in places], y=data["mean"], mode="markers", name="mean ± sd",
        error_y={"type": "data", "array": data["sd"], "thickness": 1.5, "width": 6, "color": GREY},
        marker={"color": GREY, "size": 10, "symbol": "diamond"},
        text=[f"{number(m)} ± {number(s)}" for m, s in zip(data["mean"], data["sd"], strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    summary = "Every fold, and mean ± standard deviation of each setting; the table below has the figures."
    return Chart("folds", f"{metric_title(metric)} over the folds", summary, spec(drawn), data)
