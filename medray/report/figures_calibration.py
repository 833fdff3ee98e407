"""Calibration curves, each with a histogram of the predicted probabilities below it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medray.console_tables import interval, number
from medray.report.blocks import Chart, Columns, Table
from medray.report.figure_style import BLUE, GREY, ORANGE, bars, figure, plain, shortened, spec
from medray.report.model_predictions import ModelPredictions
from medray.stats.calibration_curve import CalibrationCurve

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_CURVES, COLUMNS = 12, 3
WIDTH, HEIGHT, SPACE = 300, 420, 66  # pixels of a curve with its bars; of the space below each
EDGES = np.linspace(0, 1, 21)  # of the bars
MIDDLES = ((EDGES[1:] + EDGES[:-1]) / 2).round(3).tolist()
RANGE = (-0.04, 1.04)
ENDS = ("value", "low", "high")


def calibration_chart(curves: Sequence[CalibrationCurve], predictions: ModelPredictions, units: str) -> Chart:
    """Return the calibration curves on the images of `predictions`, side by side.

    Of more than `MAX_CURVES` those of the classes or labels with most images are drawn. The intervals are by
    `units`: "image" or "patient".
    """
    most = sorted(curves, key=lambda curve: -int(curve.event.of(predictions.labels).sum()))[:MAX_CURVES]
    drawn = [curve for curve in curves if curve in most]
    heights = [np.histogram(predictions.answers(c.event).scores, EDGES)[0].tolist() for c in drawn]
    share = "share of the class" if predictions.label_sets is None else "share that has it"
    data: Columns = {
        "class": [curve.event.name for curve in drawn],
        "probability": [[b.mean for b in curve.bins] for curve in drawn],
        **{end: [[getattr(b.observed, end) for b in curve.bins] for curve in drawn] for end in ENDS},
        "images": [[b.observed.total for b in curve.bins] for curve in drawn],
        "smooth": [[[p.score, p.observed, p.low, p.high] for p in curve.smooth] for curve in drawn],
        "bars": heights,
    }
    chart = _grid(drawn, share)
    for index, (curve, height) in enumerate(zip(drawn, heights, strict=True)):
        _draw_curve(chart, curve, index)
        row, column = divmod(index, COLUMNS)
        chart.add_bar(
            x=MIDDLES, y=height, marker={"color": GREY}, showlegend=False, row=2 * row + 2, col=column + 1,
            hovertemplate="%{y} images around %{x:.3f}<extra></extra>",
        )  # fmt: skip
    title = "Calibration curves" if len(drawn) > 1 else f"Calibration curve: {shortened(drawn[0].event.name)}"
    return Chart(
        "calibration-test",
        f"{title}, on {predictions.images}",
        _summary(drawn, len(curves) - len(drawn), units, predictions),
        spec(chart),
        data,
        _bins_table(drawn, units, share, predictions.noun),
        square=len(drawn) == 1,
        least_width=WIDTH * min(COLUMNS, len(drawn)) if len(drawn) > 1 else 0,
    )


def _summary(drawn: Sequence[CalibrationCurve], hidden: int, units: str, predictions: ModelPredictions) -> str:
    rough = ", ".join(curve.event.name for curve in drawn if not curve.smooth)
    having, few = "are of the class", "of a class"
    if predictions.label_sets is not None:
        having, few = "have the label", "with or without a label"
    return (
        f"How often images {having}, by its predicted probability. Marks are bins of about as many images "
        f"each with 95 % intervals by {units}, the line is a smooth fit with its pointwise 95 % interval. On the "
        "dotted diagonal probabilities are right, below it too high. The bars count images."
        + (
            f" Too few images {few}, or too clear a line between them, for a smooth fit of: {rough}."
            if rough
            else ""
        )
        + (f" The {len(drawn)} {predictions.nouns} of most images; {hidden} more are not drawn." if hidden else "")
    )


def _bins_table(drawn: Sequence[CalibrationCurve], units: str, share: str, noun: str) -> Table:
    rows = [
        [curve.event.name, number(b.mean), interval(b.observed), str(b.observed.total), b.observed.reason or ""]
        for curve in drawn
        for b in curve.bins
    ]
    head = [noun, "mean probability", share, "images", ""]
    caption = f"The bins of the calibration curves; 95 % intervals by {units}"
    return Table(caption, head, rows, frozenset({4}), folded=True)


def _grid(curves: Sequence[CalibrationCurve], share: str) -> "go.Figure":
    """Return an empty figure with a cell for each curve, whose axis is the `share`, and one for its bars below."""
    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    height = HEIGHT * rows
    chart = figure({}, {}, height=height + 2 * SPACE, bargap=0.05)
    chart.set_subplots(
        rows=2 * rows, cols=columns, row_heights=[0.8, 0.2] * rows, vertical_spacing=SPACE / height,
        horizontal_spacing=0.07,
    )  # fmt: skip
    chart.update_xaxes(range=RANGE, tickformat=".1f", dtick=0.2, zeroline=False, automargin=True)
    chart.update_yaxes(zeroline=False, automargin=True)
    for row in range(1, 2 * rows, 2):
        chart.update_yaxes(range=RANGE, tickformat=".1f", dtick=0.2, row=row)
        chart.update_yaxes(nticks=3, rangemode="tozero", row=row + 1)
        chart.update_yaxes(title_text=share, row=row, col=1)
        chart.update_yaxes(title_text="images", row=row + 1, col=1)
    for index, curve in enumerate(curves):
        row, column = divmod(index, columns)
        title = plain(f"probability of '{shortened(curve.event.name, 18)}'")
        chart.update_xaxes(title_text=title, row=2 * row + 2, col=column + 1)
    return chart


def _draw_curve(chart: "go.Figure", curve: CalibrationCurve, index: int) -> None:
    """Draw the diagonal, the smooth curve with its interval, and the bins, into their cell."""
    cell = {"row": 2 * (index // COLUMNS) + 1, "col": index % COLUMNS + 1}
    legend, hidden = {"showlegend": index == 0, **cell}, {"showlegend": False, "hoverinfo": "skip", **cell}
    scores, shares = [p.score for p in curve.smooth], [b.observed for b in curve.bins]
    diagonal = {"color": GREY, "dash": "dot", "width": 1}
    chart.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, **hidden)
    edge = {"mode": "lines", "line": {"width": 0}}
    chart.add_scatter(x=scores, y=[p.high for p in curve.smooth], **edge, **hidden)
    chart.add_scatter(
        x=scores,
        y=[p.low for p in curve.smooth],
        fill="tonexty",
        fillcolor="rgba(90,130,200,0.2)",
        **edge,
        **hidden,
    )
    chart.add_scatter(
        x=scores, y=[p.observed for p in curve.smooth], mode="lines", line={"width": 2, "color": BLUE},
        name="smooth fit", hovertemplate="%{x:.3f}: %{y:.3f}<extra></extra>", **legend,
    )  # fmt: skip
    chart.add_scatter(
        x=[b.mean for b in curve.bins], y=[share.value for share in shares], mode="markers", name="bins of images",
        error_y=bars({end: [getattr(share, end) for share in shares] for end in ENDS}),
        marker={"size": 8, "color": ORANGE}, text=[f"{share.count} of {share.total} images" for share in shares],
        hovertemplate="%{x:.3f}: %{y:.3f}, %{text}<extra></extra>", **legend,
    )  # fmt: skip
