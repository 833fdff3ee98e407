"""The decision curve: what deciding by a model is worth beside calling all images, or none."""

from collections.abc import Sequence

from medray.console_tables import interval, number
from medray.evaluate.reviewed_scores import DecisionCurve
from medray.report.blocks import Chart, Columns, Table
from medray.report.figure_style import BLUE, GREY, axis, figure, shortened, spec

ROWS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)  # threshold probabilities of the table
MOST_DRAWN = 4  # curves


def decision_chart(curve: DecisionCurve, index: int) -> Chart:
    """Return the net benefit of a class's decision curve (Vickers & Elkin 2006), with its 95 % interval.

    `index` tells the charts of a page from one another.
    """
    points = curve.points
    data: Columns = {
        "threshold": [point.threshold for point in points],
        "model": [point.model.value for point in points],
        "low": [point.model.low for point in points],
        "high": [point.model.high for point in points],
        "all": [point.all for point in points],
    }
    highest = max(0.0, *(value for value in [*data["model"], *data["high"], data["all"][0]] if value is not None))
    chart = figure(
        axis("threshold probability", range=[0, 1], tickformat=".1f"),
        axis("net benefit", range=[-0.2 * highest - 0.01, 1.1 * highest + 0.01]),
        height=420,
    )
    look = {"mode": "lines", "hovertemplate": "from %{x:.2f}: %{y:.3f}<extra>%{fullData.name}</extra>"}
    ends = {"line": {"width": 0}, "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    chart.add_scatter(x=data["threshold"], y=data["high"], **ends)
    chart.add_scatter(x=data["threshold"], y=data["low"], fill="tonexty", fillcolor="rgba(90,130,200,0.2)", **ends)
    chart.add_scatter(
        x=data["threshold"], y=data["model"], name="the ensemble", line={"width": 2, "color": BLUE}, **look
    )
    for name, values, dash in (("calling all", data["all"], "dash"), ("calling none", [0.0] * len(points), "dot")):
        chart.add_scatter(
            x=data["threshold"], y=values, name=name, line={"width": 1, "color": GREY, "dash": dash}, **look
        )
    rows = [
        [f"{p.threshold:g}", number(p.model.value), number(p.all), number(p.over_all.value, sign=True)]
        for p in points
        if round(p.threshold, 6) in ROWS
    ]
    name = shortened(curve.event.name)
    summary = (
        f"Net benefit of calling '{name}' from a probability on: right calls less false ones, weighed by the odds "
        "of the threshold, for each image. The ensemble is of use where its line lies above both others."
    )
    table = Table("Net benefit at some thresholds", ["from", "the ensemble", "calling all", "gain over all"], rows)
    return Chart(f"decision-{index}", f"Decision curve: {name}", summary, spec(chart), data, table)


def decisions_table(curves: Sequence[DecisionCurve]) -> Table:
    """Return the net benefit of the decision curves that are not drawn, as a folded table."""
    rows = [
        [curve.event.name, f"{p.threshold:g}", interval(p.model), number(p.all), interval(p.over_all, sign=True)]
        for curve in curves
        for p in curve.points
        if round(p.threshold, 6) in ROWS
    ]
    head = ["calling", "from", "the ensemble", "calling all", "gain over all"]
    return Table(f"Net benefit of {len(curves)} more, by threshold; 95 % intervals", head, rows, folded=True)
