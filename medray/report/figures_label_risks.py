"""The predicted probabilities of each label, of the images with it and without it, with the thresholds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medray._types import Array
from medray.decisions.thresholds import OperatingPoint
from medray.report.blocks import Chart, Columns
from medray.report.figure_style import BLUE, ORANGE, figure, legend_only, plain, shortened, spec
from medray.report.figures_calibration import COLUMNS, MAX_CURVES, SPACE, WIDTH
from medray.report.figures_risks import MARKS
from medray.report.model_predictions import ModelPredictions
from medray.stats.events import Event

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT = 330  # pixels of a label's two histograms
BARS = 20
WITH, WITHOUT = "with it", "without it"


def label_risks_chart(
    predictions: ModelPredictions, events: Sequence[Event], points: Sequence[OperatingPoint]
) -> Chart:
    """Return histograms of each label's probability: the images that have it above, those that have not below.

    Images of which that is unknown are left out. Of more than `MAX_CURVES` labels those with most images are
    drawn. The thresholds of the `points` are marked.
    """
    answers = {event: predictions.answers(event) for event in events}
    most = sorted(events, key=lambda event: -int(answers[event].having.sum()))[:MAX_CURVES]
    drawn = [event for event in events if event in most]
    edges = [_edges(answers[event].scores) for event in drawn]
    heights: dict[str, list[list[int]]] = {WITH: [], WITHOUT: []}
    for event, ends in zip(drawn, edges, strict=True):
        scores, having, _ = answers[event]
        heights[WITH].append(np.histogram(scores[having], ends)[0].tolist())
        heights[WITHOUT].append(np.histogram(scores[~having], ends)[0].tolist())
    middles = [((ends[1:] + ends[:-1]) / 2).round(5).tolist() for ends in edges]
    thresholds = [[point.threshold for point in points if point.event == event] for event in drawn]
    data: Columns = {
        "label": [event.name for event in drawn],
        "probability": middles,
        "with": heights[WITH],
        "without": heights[WITHOUT],
        "thresholds": thresholds,
    }
    chart = _grid(drawn)
    for index, ends in enumerate(edges):
        row, column = divmod(index, min(COLUMNS, len(drawn)))
        reach = max([ends[-1], *(t for t in thresholds[index] if t <= 1)])
        for below, (name, colour) in enumerate(((WITH, ORANGE), (WITHOUT, BLUE))):
            counts, cell = heights[name][index], {"row": 2 * row + 1 + below, "col": column + 1}
            chart.update_xaxes(range=[-0.02 * reach, 1.02 * reach], **cell)
            chart.add_bar(
                x=middles[index], y=counts, marker={"color": colour, "opacity": 0.7}, name=name, legendgroup=name,
                showlegend=index == 0, hovertemplate="%{y} images around %{x:.4f}<extra>%{fullData.name}</extra>",
                **cell,
            )  # fmt: skip
            for line, threshold in enumerate(thresholds[index]):
                chart.add_scatter(
                    x=[threshold] * 2, y=[0, max(1, *counts)], mode="lines", showlegend=False,
                    line={"width": 2, "color": MARKS[line % len(MARKS)], "dash": "dash"},
                    hovertemplate=f"called from {threshold:.4f}<extra></extra>", **cell,
                )  # fmt: skip
    if any(thresholds):
        chart.add_scatter(**legend_only("threshold", {"width": 2, "color": MARKS[0], "dash": "dash"}))
    hidden = len(events) - len(drawn)
    summary = (
        f"The probability of each label that the ensemble gives {predictions.images}: those that have it above, "
        "those that have not below, each with scales of its own, up to the highest probability. "
        + ("Lines are the thresholds of operating points: images right of one are called. " if points else "")
        + "The less they overlap, the better the model separates them."
        + (f" The {len(drawn)} labels of most images, without {hidden} more." if hidden else "")
    )
    title = f"Probability of each label by whether images have it, on {predictions.images}"
    least = WIDTH * min(COLUMNS, len(drawn)) if len(drawn) > 1 else 0
    return Chart("risks-labels", title, summary, spec(chart), data, least_width=least)


def _edges(scores: Array) -> Array:
    """Return the ends of bars from 0 to the highest of the scores, rounded up to a twentieth."""
    highest = float(scores.max())
    return np.linspace(0, max(0.05, np.ceil(highest * 20) / 20, highest), BARS + 1)


def _grid(events: Sequence[Event]) -> "go.Figure":
    """Return an empty figure with two cells for each label, one below the other."""
    columns = min(COLUMNS, len(events))
    rows = -(-len(events) // columns)
    height = HEIGHT * rows
    chart = figure({}, {}, height=height + SPACE, bargap=0.05)
    chart.set_subplots(rows=2 * rows, cols=columns, vertical_spacing=SPACE / height, horizontal_spacing=0.07)
    chart.update_xaxes(nticks=5, zeroline=False, automargin=True)
    chart.update_yaxes(rangemode="tozero", nticks=4, zeroline=False, automargin=True)
    chart.update_yaxes(title_text="images", col=1)
    for index, event in enumerate(events):
        row, column = divmod(index, columns)
        chart.update_xaxes(showticklabels=False, row=2 * row + 1, col=column + 1)
        title = plain(f"probability of '{shortened(event.name, 18)}'")
        chart.update_xaxes(title_text=title, row=2 * row + 2, col=column + 1)
    return chart
