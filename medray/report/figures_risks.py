"""The predicted probabilities of a class by true class, with the thresholds of its operating points."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from medray.decisions.thresholds import OperatingPoint
from medray.report.blocks import Chart, Columns
from medray.report.figure_style import BLUE, COLOURS, DASHES, GREY, ORANGE, axis, figure, plain, shortened, spec
from medray.report.model_predictions import ModelPredictions
from medray.stats.events import Event

HEIGHT, LINE = 420, 20  # pixels of both histograms, and of a line of the legend
MARKS = [colour for colour in COLOURS if colour not in (BLUE, ORANGE, GREY)]
EDGES = np.linspace(0, 1, 21)
MIDDLES = ((EDGES[1:] + EDGES[:-1]) / 2).round(3).tolist()


def risks_chart(
    predictions: ModelPredictions, classes: Sequence[str], event: Event, points: Sequence[OperatingPoint]
) -> Chart:
    """Return histograms of an event's probability: the images that have it above, the others below.

    The operating `points` that call it are marked.
    """
    positive, index = event.name, event.class_index
    scores, of_class, _ = predictions.answers(event)
    other = classes[1 - index] if len(classes) == 2 else "all other classes"
    marked = [point for point in points if point.event == event]
    data: Columns = {
        "probability": MIDDLES,
        "positive": np.histogram(scores[of_class], EDGES)[0].tolist(),
        "other": np.histogram(scores[~of_class], EDGES)[0].tolist(),
    }
    title = f"probability of '{shortened(positive, 18)}'"
    chart = figure(
        axis(title, range=[-0.02, 1.02], tickformat=".1f", dtick=0.2, anchor="y2"),
        axis("images", domain=[0.54, 1], rangemode="tozero"),
        yaxis2=axis("images", domain=[0, 0.46], rangemode="tozero"),
        height=HEIGHT + LINE * len(marked), bargap=0.05, legend_traceorder="normal",
    )  # fmt: skip
    for key, true, colour, y in (("positive", positive, ORANGE, "y"), ("other", other, BLUE, "y2")):
        chart.add_bar(
            x=MIDDLES, y=data[key], yaxis=y, marker={"color": colour, "opacity": 0.7},
            name=plain(f"true class: {shortened(true)}"),
            hovertemplate="%{y} images around %{x:.3f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    for i, point in enumerate(marked):
        for y, key in (("y", "positive"), ("y2", "other")):
            chart.add_scatter(**_threshold_line(point, i, max(1, *data[key])), yaxis=y, showlegend=y == "y")
    summary = (
        f"The probability of '{shortened(positive)}' that the ensemble gives {predictions.images}: "
        f"{int(of_class.sum())} of the class above, {int((~of_class).sum())} others below. "
        + ("Lines are the thresholds of its operating points: images right of one are called. " if marked else "")
        + "The less they overlap, the better the model separates them. Each has a scale of its own."
    )
    data["thresholds"] = [point.threshold for point in marked]
    title = f"Probability of '{shortened(positive)}' by true class, on {predictions.images}"
    return Chart(f"risks-{index}", title, summary, spec(chart), data)


def _threshold_line(point: OperatingPoint, index: int, height: int) -> dict[str, Any]:
    return {
        "x": [point.threshold] * 2,
        "y": [0, height],
        "mode": "lines",
        "line": {"width": 2, "color": MARKS[index % len(MARKS)], "dash": DASHES[1 + index % (len(DASHES) - 1)]},
        "name": f"{point.name}: from {point.threshold:.4f}",
        "hovertemplate": "%{fullData.name}<extra></extra>",
    }
