"""ROC curves, with the operating points on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from medray.console_tables import interval, number
from medray.report.answers import Answers
from medray.report.blocks import Chart, Columns, Table
from medray.report.figure_style import GREY, RED, axis, cut, figure, line_look, plain, spec
from medray.stats.metrics import roc_auc

MOST_CURVES = 12
PLOT, LINE = 420, 20  # pixels of height, and of a line of the legend


def roc_chart(answers: Answers, classes: Sequence[str], points: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Each class against the rest, of two classes the second; None where no class has images on both sides.

    `points` are operating points, each with `name`, `positive`, `threshold` and the `rates` on these images.
    """
    from sklearn.metrics import roc_curve

    found = _curves(answers, classes, [point["positive"] for point in points])
    if not found:
        return None
    data: Columns = {"class": [], "auc": [], "false_positive_rate": [], "true_positive_rate": []}
    drawn = figure(
        axis("false positive rate (1 − specificity)", range=[-0.02, 1.02], tickformat=".1f"),
        axis("true positive rate (sensitivity)", range=[-0.02, 1.02], tickformat=".1f"),
        height=PLOT + LINE * len(found),
    )  # fmt: skip
    drawn.update_layout(legend_maxheight=LINE * (len(found) + len(points) + 1))  # or it scrolls
    drawn.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dot", "width": 1},
                      hoverinfo="skip", showlegend=False)  # fmt: skip
    for place, (area, c) in enumerate(found):
        false, true, _ = roc_curve(answers.labels == c, answers.probabilities[:, c])
        for key, value in zip(data, (classes[c], area, false.tolist(), true.tolist()), strict=True):
            data[key].append(value)
        drawn.add_scatter(
            x=false.tolist(), y=true.tolist(), mode="lines", line={"width": 2, **line_look(place)},
            name=plain(f"{cut(classes[c])} (AUC {number(area)})"),
            hovertemplate="false positives %{x:.3f}, true positives %{y:.3f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    for point in points:
        if point["positive"] in data["class"]:
            _mark(drawn, point)
    words = "; ".join(f"{name} {number(area)}" for name, area in zip(data["class"], data["auc"], strict=True))
    left = len(classes) - len(found) if len(classes) > 2 else 0
    rest = f" The {len(found)} classes of the lowest AUC; {left} more are not drawn." if left else ""
    summary = f"ROC curves on {answers.images}. Areas under them: {words}.{rest}"
    title = f"ROC on {answers.images}"
    return Chart(f"roc-{answers.on}", title, summary, spec(drawn), data, square=True)


def _curves(answers: Answers, classes: Sequence[str], wanted: Sequence[str]) -> list[tuple[float, int]]:
    """AUC and number of the classes to draw: those with operating points, and else of the lowest AUC."""
    named = [c for c, name in enumerate(classes) if name in wanted]
    numbers = named or [1] if len(classes) == 2 else range(len(classes))
    areas = []
    for c in numbers:
        positive = answers.labels == c
        if positive.any() and not positive.all():
            areas.append((roc_auc(answers.probabilities[:, c], positive), c))
    kept = sorted(areas, key=lambda own: (classes[own[1]] not in wanted, own))[:MOST_CURVES]
    return sorted(kept, key=lambda own: own[1])


def _mark(drawn: Any, point: Mapping[str, Any]) -> None:
    rates = point["rates"]
    sensitivity, specificity = rates["sensitivity"]["value"], rates["specificity"]["value"]
    if sensitivity is None or specificity is None:
        return
    drawn.add_scatter(
        x=[1 - specificity], y=[sensitivity], mode="markers", name=plain(f"{point['name']}: {point['positive']}"),
        marker={"size": 12, "symbol": "x", "color": RED, "line": {"width": 1}},
        hovertemplate="sensitivity %{y:.3f}, 1 − specificity %{x:.3f}<extra>%{fullData.name}</extra>",
    )  # fmt: skip


def points_table(points: Sequence[Mapping[str, Any]], answers: Answers) -> Table:
    """The operating points with their `rates` on these images."""
    rows = [
        [
            f"{point['name']} ({point['positive']})", f"{point['threshold']:.4f}",
            *(interval(point["rates"][name]) for name in ("sensitivity", "specificity", "ppv", "npv")),
        ]
        for point in points
    ]  # fmt: skip
    head = ["operating point", "positive from", "sensitivity", "specificity", "PPV", "NPV"]
    return Table(f"Operating points on {answers.images}, with exact 95 % intervals", head, rows)
