"""The predicted probabilities of each label, of the images with it and without it, with the thresholds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medray.decisions.thresholds import OperatingPoint
from medray.report.blocks import Chart, Columns
from medray.report.figure_style import BLUE, GREY, ORANGE, figure, legend_only, plain, shortened, spec
from medray.report.figures_calibration import COLUMNS, MAX_CURVES, SPACE, WIDTH
from medray.report.figures_risks import EDGES, MARKS, MIDDLES
from medray.report.model_predictions import ModelPredictions
from medray.stats.events import Event

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT = 280  # pixels of a label's two histograms
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
    heights = {
        WITH: [np.histogram(answers[e].scores[answers[e].having], EDGES)[0].tolist() for e in drawn],
        WITHOUT: [np.histogram(answers[e].scores[~answers[e].having], EDGES)[0].tolist() for e in drawn],
    }
    thresholds = [[point.threshold for point in points if point.event == event] for event in drawn]
    data: Columns = {
        "label": [event.name for event in drawn],
        "with": heights[WITH],
        "without": heights[WITHOUT],
        "thresholds": thresholds,
    }
    chart = _grid(drawn)
    for index in range(len(drawn)):
        row, column = divmod(index, min(COLUMNS, len(drawn)))
        for below, (name, colour) in enumerate(((WITH, ORANGE), (WITHOUT, BLUE))):
            counts, cell = heights[name][index], {"row": 2 * row + 1 + below, "col": column + 1}
            chart.add_bar(
                x=MIDDLES, y=counts, marker={"color": colour, "opacity": 0.7}, name=name, legendgroup=name,
                showlegend=index == 0, hovertemplate="%{y} images around %{x:.3f}<extra>%{fullData.name}</extra>",
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
        "those that have not below, each with a scale of its own. "
        + ("Lines are the thresholds of operating points: images right of one are called. " if points else "")
        + "The less they overlap, the better the model separates them."
        + (f" The {len(drawn)} labels of most images; {hidden} more are not drawn." if hidden else "")
    )
    title = f"Probability of each label by whether images have it, on {predictions.images}"
    least = WIDTH * min(COLUMNS, len(drawn)) if len(drawn) > 1 else 0
    return Chart("risks-labels", title, summary, spec(chart), data, least_width=least)


def _grid(events: Sequence[Event]) -> "go.Figure":
    """Return an empty figure with two cells for each label, one below the other."""
    columns = min(COLUMNS, len(events))
    rows = -(-len(events) // columns)
    height = HEIGHT * rows
    chart = figure({}, {}, height=height + SPACE, bargap=0.05)
    chart.set_subplots(
        rows=2 * rows, cols=columns, vertical_spacing=SPACE / (1.6 * height), horizontal_spacing=0.07
    )
    chart.update_xaxes(range=[-0.02, 1.02], tickformat=".1f", dtick=0.2, zeroline=False, automargin=True)
    chart.update_yaxes(zeroline=False, automargin=True, nticks=4, rangemode="tozero", gridcolor=GREY)
    chart.update_yaxes(title_text="images", col=1)
    for index, event in enumerate(events):
        row, column = divmod(index, columns)
        chart.update_xaxes(showticklabels=False, row=2 * row + 1, col=column + 1)
        title = plain(f"probability of '{shortened(event.name, 18)}'")
        chart.update_xaxes(title_text=title, row=2 * row + 2, col=column + 1)
    return chart
