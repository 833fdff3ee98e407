"""ROC curves, with the operating points on them."""

from collections.abc import Container, Sequence

from medray.console_tables import interval, number
from medray.decisions.thresholds import OperatingPoint
from medray.evaluate.label_tables import RATE_TITLES
from medray.report.blocks import Chart, Columns, Table
from medray.report.figure_style import GREY, RED, axis, figure, line_look, plain, shortened, spec
from medray.report.model_predictions import ModelPredictions
from medray.stats.events import Event
from medray.stats.metrics import roc_auc
from medray.stats.rates import Rates

MAX_CURVES = 12
PLOT, LINE = 420, 20  # pixels of height, and of a line of the legend


def roc_chart(
    predictions: ModelPredictions, events: Sequence[Event], points: Sequence[tuple[OperatingPoint, Rates]]
) -> Chart | None:
    """Return the ROC curve of each event, of two classes the second only, and the `points` on it.

    `points` are operating points with their rates on these images. None where no class has images on both sides.
    """
    from sklearn.metrics import roc_curve

    curves = _curves(predictions, events, {point.event for point, _ in points})
    if not curves:
        return None
    data: Columns = {"class": [], "auc": [], "false_positive_rate": [], "true_positive_rate": []}
    chart = figure(
        axis("false positive rate (1 − specificity)", range=[-0.02, 1.02], tickformat=".1f"),
        axis("true positive rate (sensitivity)", range=[-0.02, 1.02], tickformat=".1f"),
        height=PLOT + LINE * len(curves),
    )  # fmt: skip
    chart.update_layout(legend_maxheight=LINE * (len(curves) + len(points) + 1))  # or it scrolls
    chart.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dot", "width": 1},
                      hoverinfo="skip", showlegend=False)  # fmt: skip
    for i, (area, event) in enumerate(curves):
        answers = predictions.answers(event)
        false, true, _ = roc_curve(answers.having, answers.scores)
        for key, value in zip(data, (event.name, area, false.tolist(), true.tolist()), strict=True):
            data[key].append(value)
        chart.add_scatter(
            x=false.tolist(), y=true.tolist(), mode="lines", line={"width": 2, **line_look(i)},
            name=plain(f"{shortened(event.name)} (AUC {number(area)})"),
            hovertemplate="false positives %{x:.3f}, true positives %{y:.3f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    for point, rates in points:
        sensitivity, specificity = rates.sensitivity.value, rates.specificity.value
        if point.positive in data["class"] and sensitivity is not None and specificity is not None:
            colour, more = RED, {}
            if predictions.label_sets is not None:  # a point of each label: the legend is of the curves alone
                colour = line_look(data["class"].index(point.positive))["color"]
                more = {"showlegend": False}
            chart.add_scatter(
                x=[1 - specificity], y=[sensitivity], mode="markers",
                name=plain(f"{point.name}: {point.positive}"),
                marker={"size": 12, "symbol": "x", "color": colour, "line": {"width": 1}}, **more,
                hovertemplate="sensitivity %{y:.3f}, 1 − specificity %{x:.3f}<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    areas = "; ".join(f"{name} {number(area)}" for name, area in zip(data["class"], data["auc"], strict=True))
    summary = (
        f"ROC curves on {predictions.images}. Areas under them: {areas}.{_not_drawn(events, curves, predictions)}"
    )
    title = f"ROC on {predictions.images}"
    return Chart(f"roc-{predictions.source}", title, summary, spec(chart), data, square=True)


def _not_drawn(
    events: Sequence[Event], curves: Sequence[tuple[float, Event]], predictions: ModelPredictions
) -> str:
    """Return how many of the events are not drawn, and of several labels an image which have no curve at all."""
    if predictions.label_sets is None:
        hidden = len(events) - len(curves) if len(events) > 2 else 0
        return f" The {len(curves)} classes of the lowest AUC; {hidden} more are not drawn." if hidden else ""
    known = {event.name: predictions.answers(event).having for event in events}
    without = [name for name, having in known.items() if not having.any() or having.all()]
    hidden = len(events) - len(curves) - len(without)
    return (
        (f" The {len(curves)} labels of the lowest AUC, without {hidden} more." if hidden else "")
        + (f" No curve of {', '.join(without)}: no image has it, or each does." if without else "")
        + " Crosses are operating points."
    )


def _curves(
    predictions: ModelPredictions, events: Sequence[Event], decided: Container[Event]
) -> list[tuple[float, Event]]:
    """Return AUC and event of those to draw: those that are `decided` first, then those of the lowest AUC."""
    if predictions.label_sets is None and predictions.probabilities.shape[1] == 2:
        events = [event for event in events if event in decided] or events[-1:]
    areas = []
    for event in events:
        answers = predictions.answers(event)
        if answers.having.any() and not answers.having.all():
            areas.append((roc_auc(answers.scores, answers.having), event))
    curves = sorted(areas, key=lambda curve: (curve[1] not in decided, curve[0]))[:MAX_CURVES]
    return sorted(curves, key=lambda curve: curve[1].class_index)


def points_table(caption: str, points: Sequence[tuple[OperatingPoint, str, Rates]]) -> Table:
    """Return operating points with their rates on the images that the text beside each names."""
    rows = [
        [
            f"{point.name}: {point.positive} from {point.threshold:.4f}", images,
            *(interval(getattr(rates, key)) for key in RATE_TITLES),
        ]
        for point, images, rates in points
    ]  # fmt: skip
    return Table(f"{caption}; 95 % intervals", ["point", "images", *RATE_TITLES.values()], rows, frozenset({1}))
