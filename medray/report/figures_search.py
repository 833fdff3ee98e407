"""Figures of a search: how its trials learnt, what it found when, what mattered, what ASHA stopped."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from medray.analyze.importance import HIGH, LOW, Importances
from medray.analyze.stopped import Savings
from medray.console_tables import metric_title, number
from medray.report.blocks import Chart, Columns, Table
from medray.report.figure_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    axis,
    bars,
    figure,
    legend_only,
    plain,
    spec,
)
from medray.runs.documents import FAILED, STOPPED

Row = dict[str, Any]  # of a frame

BEST, BASELINE, OTHER, FAINT = "the best", "baselines", "other trials", "stopped by ASHA"
#: Colour, width, dash and opacity of a kind's lines; the first that fits is a trial's.
LOOKS: dict[str, tuple[str, float, str, float]] = {
    OTHER: (BLUE, 1.3, "solid", 0.75),
    FAINT: (GREY, 1.0, "solid", 0.4),
    BASELINE: (ORANGE, 1.6, "dash", 0.9),
    BEST: (GREEN, 3.2, "solid", 1.0),
}
UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
BAR = 24  # pixels of a bar and its gap
FEW = 12  # epochs, each of which has a tick


def kind_of(trial: Row) -> str:
    """How a trial is drawn; `trial` is a row of the frame of trials."""
    if trial["rank"] == 1:
        return BEST
    if trial["baseline"] is not None:
        return BASELINE
    return FAINT if trial["state"] == STOPPED else OTHER


def learning_chart(trials: Sequence[Row], epochs: Sequence[Row], column: str, title: str, anchor: str) -> Chart:
    """One line a trial of a column of the frame of epochs; stopped ones are faint."""
    kinds = {int(trial["trial"]): kind_of(trial) for trial in trials}
    few = {"dtick": 1} if max(epoch["epoch"] for epoch in epochs) <= FEW else {}
    drawn = figure(axis("epoch", **few), axis(title))
    for kind, (colour, width, dash, _) in LOOKS.items():
        if kind in kinds.values():
            drawn.add_scatter(**legend_only(kind, {"color": colour, "width": width, "dash": dash}))
    data: Columns = {"trial": [], "kind": [], "epoch": [], "value": []}
    for trial in sorted(kinds, key=lambda number: list(LOOKS).index(kinds[number])):  # the best above all others
        own = [epoch for epoch in epochs if epoch["trial"] == trial]
        if not own:
            continue
        values = (trial, kinds[trial], [epoch["epoch"] for epoch in own], [epoch[column] for epoch in own])
        for key, value in zip(data, values, strict=True):
            data[key].append(value)
        drawn.add_scatter(**_line(kinds[trial], trial, *values[2:]))
    counts = {kind: list(kinds.values()).count(kind) for kind in LOOKS}
    words = ", ".join(f"{kind} ({count})" for kind, count in counts.items() if count)
    return Chart(anchor, title, f"One line a trial: {words}.", spec(drawn), data)


def _line(kind: str, trial: int, x: list[Any], y: list[Any]) -> dict[str, Any]:
    colour, width, dash, opacity = LOOKS[kind]
    return {
        "x": x, "y": y, "mode": "lines" if len(x) > 1 else "markers", "opacity": opacity,
        "line": {"color": colour, "width": width, "dash": dash}, "marker": {"color": colour},
        "name": f"trial {trial}", "legendgroup": kind, "showlegend": False,
        "hovertemplate": "epoch %{x}: %{y:.4f}<extra>%{fullData.name}</extra>",
    }  # fmt: skip


def progress_chart(
    trials: Sequence[Row], ends: dict[int, datetime], begun: datetime | None, metric: str, mode: str
) -> Chart:
    """The objective of each trial by when it ended, and the best so far; by number where no time is known."""
    own = [trial for trial in trials if trial["objective"] is not None and trial["state"] != FAILED]
    timed = begun is not None and all(trial["trial"] in ends for trial in own)

    def place(trial: Row) -> float:
        number: int = trial["trial"]
        return (ends[number] - begun).total_seconds() if timed and begun is not None else float(number)

    own.sort(key=lambda trial: (place(trial), trial["trial"]))
    data: Columns = {
        "seconds" if timed else "place": [place(trial) for trial in own],
        "trial": [trial["trial"] for trial in own],
        "objective": [trial["objective"] for trial in own],
        "kind": [kind_of(trial) for trial in own],
    }
    data["best_so_far"] = _best_so_far(data["objective"], mode)
    drawn = _progress(data, metric_title(metric), timed=timed)
    best = data["best_so_far"][-1]
    summary = (
        f"Each trial's {metric_title(metric)} by when it ended, since the first one began; the best, "
        f"{number(best)}, was found by trial {data['trial'][data['objective'].index(best)]}."
    )
    return Chart("progress", "What was found when", summary, spec(drawn), data)


def _progress(data: Columns, metric: str, *, timed: bool) -> Any:
    places = next(iter(data.values()))
    scale, unit = next((scale, unit) for least, scale, unit in UNITS if max(places) >= least)
    x = [place / (scale if timed else 1.0) for place in places]
    drawn = figure(axis(f"time ({unit})" if timed else "trial"), axis(f"{metric} on validation"))
    drawn.add_scatter(
        x=x, y=data["best_so_far"], mode="lines", line={"shape": "hv", "color": GREEN, "width": 2},
        name="best so far", hoverinfo="skip",
    )  # fmt: skip
    for kind, (colour, *_) in LOOKS.items():
        at = [i for i, own_kind in enumerate(data["kind"]) if own_kind == kind]
        if at:
            drawn.add_scatter(
                x=[x[i] for i in at], y=[data["objective"][i] for i in at], mode="markers", name=kind,
                marker={"color": colour, "size": 11 if kind == BEST else 8, "symbol": _symbol(kind)},
                text=[f"trial {data['trial'][i]}" for i in at],
                hovertemplate="%{text}: %{y:.4f}<extra>" + kind + "</extra>",
            )  # fmt: skip
    return drawn


def _symbol(kind: str) -> str:
    return {BEST: "star", BASELINE: "diamond", FAINT: "circle-open", OTHER: "circle"}[kind]


def _best_so_far(values: Iterable[float], mode: str) -> list[float]:
    found: list[float] = []
    better = max if mode == "max" else min
    for value in values:
        found.append(better(found[-1], value) if found else value)
    return found


def importance_chart(found: Importances) -> Chart:
    """The share of the variance that each setting explains, with its interval over resampled trials."""
    rows = [row for row in found.rows if row.value is not None]
    data: Columns = {
        "setting": [row.parameter for row in rows], "value": [row.value for row in rows],
        "low": [row.low for row in rows], "high": [row.high for row in rows], "among": [row.among for row in rows],
    }  # fmt: skip
    drawn = figure(
        axis("share of the variance of the objective", rangemode="tozero", tickformat=".0%"),
        axis("", autorange="reversed", type="category"),
        height=BAR * len(rows) + 110, showlegend=False,
    )  # fmt: skip
    drawn.add_scatter(
        x=data["value"], y=[plain(name) for name in data["setting"]], mode="markers", error_x=bars(data),
        marker={"size": 9, "color": PURPLE}, hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    shown = [
        [row.parameter, f"under {row.when}" if row.when else "", number(row.value),
         f"{number(row.low)} to {number(row.high)}" if row.value is not None else "too few trials", str(row.among)]
        for row in found.rows
    ]  # fmt: skip
    head = ["setting", "exists", "importance", f"{LOW}–{HIGH} % of resamples", "trials"]
    table = Table(f"Importance by fANOVA over {found.finished} finished trials", head, shown, frozenset({1}))
    summary = "Share of the variance that a setting explains alone, and its spread over resampled trials."
    return Chart("importance", "Which settings mattered", summary, spec(drawn), data, table)


def asha_chart(saved: Savings, trained: Sequence[tuple[int, int]]) -> Chart:
    """Epochs by trial, those that were trained and those that ASHA left out; `trained` has every trial's."""
    left = {trial.trial: trial.epochs_saved for trial in saved.trials}
    data: Columns = {
        "trial": [trial for trial, _ in trained], "trained": [epochs for _, epochs in trained],
        "saved": [left.get(trial, 0) for trial, _ in trained],
    }  # fmt: skip
    names = [str(trial) for trial in data["trial"]]
    drawn = figure(axis("trial", type="category"), axis("epochs"), barmode="stack", height=300, bargap=0.25)
    drawn.update_layout(legend_traceorder="normal")
    for key, name, colour in (("trained", "trained", BLUE), ("saved", "not trained: stopped by ASHA", ORANGE)):
        drawn.add_bar(x=names, y=data[key], name=name, marker={"color": colour},
                      hovertemplate="trial %{x}: %{y} epochs " + name + "<extra></extra>")  # fmt: skip
    summary = (
        f"{saved.epochs_trained} epochs were trained; ASHA stopped {len(saved.trials)} trials and so left out "
        f"{saved.epochs_saved} more."
    )
    return Chart("asha", "Epochs by trial", summary, spec(drawn), data, least_width=len(trained) * 14)
