"""Parallel coordinates: a line a trial through its settings to its objective."""

import math
from collections.abc import Sequence
from typing import Any

from medray.console_tables import metric_title
from medray.report.blocks import Chart, Columns
from medray.report.figure_style import SCALE, cut, figure, plain, spec
from medray.runs.documents import FAILED

WIDE = 20.0  # a range whose ends differ by such a factor has a logarithmic axis
TICKS = 6
ROOM = 88  # pixels of an axis
NONE = "–"


def parallel_chart(
    trials: Sequence[dict[str, Any]], settings: Sequence[str], metric: str, mode: str
) -> Chart | None:
    """The settings in which trials differ; None where there are fewer than two trials or no such setting.

    `trials` are rows of the frame of trials.
    """
    own = [trial for trial in trials if trial["objective"] is not None and trial["state"] != FAILED]
    names = [name for name in settings if len({trial[name] for trial in own}) > 1]
    if len(own) < 2 or not names:
        return None
    data: Columns = {name: [trial[name] for trial in own] for name in ("trial", "objective", *names)}
    axes = [_axis(name, data[name]) for name in names]
    last = {"label": plain(metric_title(metric)), "values": data["objective"], "tickformat": ".3f"}
    drawn = figure({}, {}, height=420, margin={"l": 110, "r": 40, "t": 70, "b": 30})
    drawn.add_parcoords(
        dimensions=[*axes, last],
        line={"color": _places(data["objective"], mode), "colorscale": SCALE, "showscale": False},
        labelangle=-20, labelside="top",
    )  # fmt: skip
    summary = (
        f"One line a trial, through its settings to its {metric_title(metric)}; the best are orange, the worst "
        f"violet. Drag along an axis to see some trials only; {NONE} stands for a setting that a trial lacks."
    )
    return Chart(
        "parallel", "Settings and objective", summary, spec(drawn), data, least_width=ROOM * (len(names) + 1)
    )


def _places(objectives: Sequence[float], mode: str) -> list[int]:
    """Each trial's place, 0 for the worst: one that is far off would leave all others one colour."""
    order = sorted(range(len(objectives)), key=lambda i: objectives[i], reverse=mode == "min")
    return [order.index(i) for i in range(len(objectives))]


def _axis(name: str, values: Sequence[Any]) -> dict[str, Any]:
    label = plain(name.replace("_", " "))
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return {"label": label, **_numbers(values, [float(value) for value in known])}
    words = sorted({str(value) for value in known}) + ([NONE] if len(known) < len(values) else [])
    places = {word: place for place, word in enumerate(words)}
    return {
        "label": label,
        "values": [places[NONE if value is None else str(value)] for value in values],
        "tickvals": list(places.values()),
        "ticktext": [plain(cut(word, 14)) for word in words],
        "range": [-0.3, len(words) - 0.7],
    }


def _numbers(values: Sequence[Any], known: Sequence[float]) -> dict[str, Any]:
    """Numbers on a plain axis, or by their logarithm; missing ones stand below all others."""
    low, high = min(known), max(known)
    logarithmic = low > 0 and high / low >= WIDE
    turn = math.log10 if logarithmic else float
    lacking = len(known) < len(values)
    if not logarithmic and not lacking and len(set(known)) > TICKS:
        return {"values": known, "range": [low, high]}  # plotly finds round numbers
    ticks = _decades(low, high) if logarithmic else _evenly(sorted(set(known)))
    span = (turn(high) - turn(low)) or 1.0
    below = turn(low) - 0.12 * span
    places, texts = [turn(tick) for tick in ticks], [f"{tick:.3g}" for tick in ticks]
    return {
        "values": [below if value is None else turn(value) for value in values],
        "tickvals": [below, *places] if lacking else places,
        "ticktext": [NONE, *texts] if lacking else texts,
        "range": [below if lacking else turn(low), turn(high)],
    }


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between the ends; only the powers where these are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        found = [step * 10.0**power for power in powers for step in steps]
        found = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(found) <= TICKS:
            break
    return found if len(found) > 1 else [low, high]


def _evenly(values: Sequence[float]) -> list[float]:
    """The values where they are few, else some between their ends."""
    if len(values) <= TICKS:
        return list(values)
    low, high = values[0], values[-1]
    return [low + (high - low) * i / (TICKS - 1) for i in range(TICKS)]
