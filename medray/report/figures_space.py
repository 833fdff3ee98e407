"""Parallel coordinates: one line a trial, through its settings to its objective."""

import math
from collections.abc import Sequence
from typing import Any

from medray.console_tables import metric_title
from medray.report.blocks import Chart, Columns
from medray.report.figure_style import SCALE, figure, plain, shortened, spec
from medray.runs.trial_record import FAILED

WIDE = 20.0  # an axis is logarithmic where its ends differ by this factor
MAX_TICKS = 6
AXIS_WIDTH = 88  # pixels
NONE = "–"


def parallel_chart(
    trials: Sequence[dict[str, Any]], settings: Sequence[str], metric: str, mode: str
) -> Chart | None:
    """Return the chart of the `settings` in which trials differ, None where there are none or only one trial.

    `trials` are rows of the frame of trials.
    """
    ended = [trial for trial in trials if trial["objective"] is not None and trial["state"] != FAILED]
    names = [name for name in settings if len({trial[name] for trial in ended}) > 1]
    if len(ended) < 2 or not names:
        return None
    data: Columns = {name: [trial[name] for trial in ended] for name in ("trial", "objective", *names)}
    axes = [_axis(name, data[name]) for name in names]
    order = sorted(range(len(ended)), key=lambda i: data["objective"][i], reverse=mode == "min")
    ranks = [order.index(i) for i in range(len(ended))]  # by value, an outlier would leave all others one colour
    last = {"label": plain(metric_title(metric)), "values": data["objective"], "tickformat": ".3f"}
    chart = figure({}, {}, height=420, margin={"l": 110, "r": 40, "t": 70, "b": 30})
    chart.add_parcoords(
        dimensions=[*axes, last],
        line={"color": ranks, "colorscale": SCALE, "showscale": False},
        labelangle=-20, labelside="top",
    )  # fmt: skip
    summary = (
        f"One line a trial, through its settings to its {metric_title(metric)}; the best are orange, the worst "
        f"violet. Drag along an axis to see some trials only; {NONE} stands for a setting that a trial lacks."
    )
    return Chart(
        "parallel", "Settings and objective", summary, spec(chart), data, least_width=AXIS_WIDTH * (len(names) + 1)
    )


def _axis(name: str, values: Sequence[Any]) -> dict[str, Any]:
    label = plain(name.replace("_", " "))
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return {"label": label, **_numbers(values, [float(value) for value in known])}
    words = sorted({str(value) for value in known}) + ([NONE] if len(known) < len(values) else [])
    positions = {word: i for i, word in enumerate(words)}
    return {
        "label": label,
        "values": [positions[NONE if value is None else str(value)] for value in values],
        "tickvals": list(positions.values()),
        "ticktext": [plain(shortened(word, 14)) for word in words],
        "range": [-0.3, len(words) - 0.7],
    }


def _numbers(values: Sequence[Any], known: Sequence[float]) -> dict[str, Any]:
    """Return an axis of numbers, linear or logarithmic; missing values stand below all others."""
    low, high = min(known), max(known)
    logarithmic = low > 0 and high / low >= WIDE
    scale = math.log10 if logarithmic else float
    lacking = len(known) < len(values)
    if not logarithmic and not lacking and len(set(known)) > MAX_TICKS:
        return {"values": known, "range": [low, high]}  # plotly finds round numbers
    ticks = _decades(low, high) if logarithmic else sorted(set(known))
    if len(ticks) > MAX_TICKS:
        ticks = [low + (high - low) * i / (MAX_TICKS - 1) for i in range(MAX_TICKS)]
    span = (scale(high) - scale(low)) or 1.0
    below = scale(low) - 0.12 * span
    positions, texts = [scale(tick) for tick in ticks], [f"{tick:.3g}" for tick in ticks]
    return {
        "values": [below if value is None else scale(value) for value in values],
        "tickvals": [below, *positions] if lacking else positions,
        "ticktext": [NONE, *texts] if lacking else texts,
        "range": [below if lacking else scale(low), scale(high)],
    }


def _decades(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between the ends, or only the powers where these are too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) <= MAX_TICKS:
            break
    return ticks if len(ticks) > 1 else [low, high]
