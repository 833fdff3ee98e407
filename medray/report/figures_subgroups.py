"""The gaps of subgroups at an operating point as a forest plot."""

from medray.console_tables import interval
from medray.evaluate.subgroup_rates import SENSITIVITY, SPECIFICITY, SubgroupRates
from medray.report.blocks import Chart, Columns
from medray.report.figure_style import BLUE, GREY, ORANGE, axis, bars, figure, plain, shortened, spec

MOST_GROUPS = 20  # more are a table alone
ROW = 52  # pixels of a group's row


def gaps_chart(table: SubgroupRates, index: int) -> Chart:
    """Return the chart of every group's gaps in sensitivity and specificity, with their 95 % intervals.

    `index` tells the charts of a page from one another.
    """
    rows = list(range(len(table.groups)))
    data: Columns = {"group": [group.value for group in table.groups]}
    chart = figure(
        axis("gap to all other images", tickformat="+.2f", zeroline=True, zerolinecolor=GREY),
        axis("", range=[len(rows) - 0.4, -0.8], showticklabels=False, showgrid=False),
        height=ROW * len(rows) + 110,
    )
    for row, name in enumerate(
        data["group"]
    ):  # above the intervals: beside them, it would not fit a narrow screen
        chart.add_annotation(
            text=plain(shortened(f"{table.column} {name}", 44)), x=0, xref="paper", xanchor="left", y=row,
            yshift=16, showarrow=False,
        )  # fmt: skip
    for name, shift, colour, symbol in (
        (SENSITIVITY, 0.0, BLUE, "circle"),
        (SPECIFICITY, 0.24, ORANGE, "diamond"),
    ):
        gaps = [group.rates[name].gap for group in table.groups]
        ends: Columns = {key: [getattr(gap, key) for gap in gaps] for key in ("value", "low", "high")}
        tested = [None if gap.p is None else gap.value for gap in gaps]
        chart.add_scatter(
            x=tested, y=[row + shift for row in rows], mode="markers", name=name,
            error_x={**bars(ends), "color": colour}, marker={"size": 9, "color": colour, "symbol": symbol},
            text=[
                plain(f"{group}, {name}: {interval(gap, sign=True)}")
                for group, gap in zip(data["group"], gaps, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
        data |= {f"{name}_{key}": values for key, values in ends.items()}
    summary = (
        "Left of 0 a group is worse off than all other images. Groups with too few images or patients have no "
        "mark; the table below has the figures."
    )
    title = f"Gaps by {table.column} at {table.point} ('{table.positive}'), with 95 % intervals"
    return Chart(f"gaps-{index}", title, summary, spec(chart), data)
