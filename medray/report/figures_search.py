"""Figures of a search: learning curves, progress over time, importance of settings, epochs that ASHA saved."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from medray.analyze.asha_savings import Savings
from medray.analyze.importance import HIGH, LOW, Importances
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
from medray.runs.trial_record import FAILED, STOPPED

Row = dict[str, Any]  # of a frame

BEST, BASELINE, OTHER, PRUNED = "the best", "baselines", "other trials", "stopped early"  # kinds of trials
#: Colour, width, dash and opacity of a kind's lines, and the symbol of its points; later kinds are drawn above.
LOOKS: dict[str, tuple[str, float, str, float, str]] = {
    OTHER: (BLUE, 1.3, "solid", 0.75, "circle"),
    PRUNED: (GREY, 1.0, "solid", 0.4, "circle-open"),
    BASELINE: (ORANGE, 1.6, "dash", 0.9, "diamond"),
    BEST: (GREEN, 3.2, "solid", 1.0, "star"),
}
UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))  # from so many seconds on
BAR = 24  # pixels of a bar and its gap
MAX_TICKS = 12  # up to so many epochs each has a tick


def kind_of(trial: Row) -> str:
    """Return the kind of a trial, a row of the frame of trials."""
    if trial["rank"] == 1:
        return BEST
    if trial["baseline"] is not None:
        return BASELINE
    return PRUNED if trial["state"] == STOPPED else OTHER


def learning_chart(trials: Sequence[Row], epochs: Sequence[Row], column: str, title: str, anchor: str) -> Chart:
    """Return the chart of a column of the frame of epochs, one line a trial."""
    kinds = {int(trial["trial"]): kind_of(trial) for trial in trials}
    ticks = {"dtick": 1} if max(epoch["epoch"] for epoch in epochs) <= MAX_TICKS else {}
    chart = figure(axis("epoch", **ticks), axis(title))
    for kind, (colour, width, dash, *_) in LOOKS.items():
        if kind in kinds.values():
            chart.add_scatter(**legend_only(kind, {"color": colour, "width": width, "dash": dash}))
    data: Columns = {"trial": [], "kind": [], "epoch": [], "value": []}
    for trial in sorted(kinds, key=lambda number: list(LOOKS).index(kinds[number])):
        rows = [epoch for epoch in epochs if epoch["trial"] == trial]
        if not rows:
            continue
        values = (trial, kinds[trial], [epoch["epoch"] for epoch in rows], [epoch[column] for epoch in rows])
        for key, value in zip(data, values, strict=True):
            data[key].append(value)
        colour, width, dash, opacity, _ = LOOKS[kinds[trial]]
        chart.add_scatter(
            x=values[2], y=values[3], mode="lines" if len(rows) > 1 else "markers", opacity=opacity,
            line={"color": colour, "width": width, "dash": dash}, marker={"color": colour},
            name=f"trial {trial}", legendgroup=kinds[trial], showlegend=False,
            hovertemplate="epoch %{x}: %{y:.4f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    counts = {kind: list(kinds.values()).count(kind) for kind in LOOKS}
    legend = ", ".join(f"{kind} ({count})" for kind, count in counts.items() if count)
    return Chart(anchor, title, f"One line a trial: {legend}.", spec(chart), data)


def progress_chart(
    trials: Sequence[Row], ends: dict[int, datetime], begun: datetime | None, metric: str, mode: str
) -> Chart:
    """Return the chart of each trial's objective by the time of its end, and of the best so far.

    `ends` are the times by the trials' numbers, `begun` is that of the first one's start. Where a time is missing,
    trials stand by their numbers.
    """
    ended = [trial for trial in trials if trial["objective"] is not None and trial["state"] != FAILED]
    timed = begun is not None and all(trial["trial"] in ends for trial in ended)

    def position(trial: Row) -> float:
        number: int = trial["trial"]
        return (ends[number] - begun).total_seconds() if timed and begun is not None else float(number)

    ended.sort(key=lambda trial: (position(trial), trial["trial"]))
    data: Columns = {
        "seconds" if timed else "number": [position(trial) for trial in ended],
        "trial": [trial["trial"] for trial in ended],
        "objective": [trial["objective"] for trial in ended],
        "kind": [kind_of(trial) for trial in ended],
    }
    better = np.maximum if mode == "max" else np.minimum
    data["best_so_far"] = better.accumulate(data["objective"]).tolist()
    chart = _progress(data, metric_title(metric), timed=timed)
    best = data["best_so_far"][-1]
    summary = (
        f"Each trial's {metric_title(metric)} by when it ended, since the first one began; the best, "
        f"{number(best)}, was found by trial {data['trial'][data['objective'].index(best)]}."
    )
    return Chart("progress", "What was found when", summary, spec(chart), data)


def _progress(data: Columns, metric: str, *, timed: bool) -> Any:
    positions = next(iter(data.values()))
    scale, unit = next((scale, unit) for least, scale, unit in UNITS if max(positions) >= least)
    x = [position / (scale if timed else 1.0) for position in positions]
    chart = figure(axis(f"time ({unit})" if timed else "trial"), axis(f"{metric} on validation"))
    chart.add_scatter(
        x=x, y=data["best_so_far"], mode="lines", line={"shape": "hv", "color": GREEN, "width": 2},
        name="best so far", hoverinfo="skip",
    )  # fmt: skip
    for kind, (colour, *_, symbol) in LOOKS.items():
        rows = [i for i, trial_kind in enumerate(data["kind"]) if trial_kind == kind]
        if rows:
            chart.add_scatter(
                x=[x[i] for i in rows], y=[data["objective"][i] for i in rows], mode="markers", name=kind,
                marker={"color": colour, "size": 11 if kind == BEST else 8, "symbol": symbol},
                text=[f"trial {data['trial'][i]}" for i in rows],
                hovertemplate="%{text}: %{y:.4f}<extra>" + kind + "</extra>",
            )  # fmt: skip
    return chart


def importance_chart(importances: Importances) -> Chart:
    """Return the chart of the share of variance that each setting explains, with its interval over resamples."""
    rows = [row for row in importances.rows if row.value is not None]
    data: Columns = {
        "setting": [row.parameter for row in rows], "value": [row.value for row in rows],
        "low": [row.low for row in rows], "high": [row.high for row in rows], "among": [row.among for row in rows],
    }  # fmt: skip
    chart = figure(
        axis("share of the variance of the objective", rangemode="tozero", tickformat=".0%"),
        axis("", autorange="reversed", type="category"),
        height=BAR * len(rows) + 110, showlegend=False,
    )  # fmt: skip
    chart.add_scatter(
        x=data["value"], y=[plain(name) for name in data["setting"]], mode="markers", error_x=bars(data),
        marker={"size": 9, "color": PURPLE}, hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    cells = [
        [row.parameter, f"under {row.when}" if row.when else "", number(row.value),
         f"{number(row.low)} to {number(row.high)}" if row.value is not None else "too few trials",
         "" if row.p is None else f"{row.p:.3f}", str(row.among)]
        for row in importances.rows
    ]  # fmt: skip
    head = ["setting", "exists", "importance", f"{LOW}–{HIGH} % of resamples", "p", "trials"]
    table = Table(f"Importance by fANOVA over {importances.finished} finished trials", head, cells, frozenset({1}))
    summary = (
        "Share of the variance that a setting explains alone, and its spread over resampled trials; p is the "
        "chance that noise alone has any setting explain as much."
    )
    return Chart("importance", "Which settings mattered", summary, spec(chart), data, table)


def asha_chart(saved: Savings, trained: Sequence[tuple[int, int]]) -> Chart:
    """Return the chart of epochs by trial: those in `trained` (number, epochs), and those that ASHA saved."""
    untrained = {trial.trial: trial.epochs_saved for trial in saved.trials}
    data: Columns = {
        "trial": [trial for trial, _ in trained], "trained": [epochs for _, epochs in trained],
        "saved": [untrained.get(trial, 0) for trial, _ in trained],
    }  # fmt: skip
    names = [str(trial) for trial in data["trial"]]
    chart = figure(axis("trial", type="category"), axis("epochs"), barmode="stack", height=300, bargap=0.25)
    chart.update_layout(legend_traceorder="normal")
    for key, name, colour in (("trained", "trained", BLUE), ("saved", "not trained: stopped by ASHA", ORANGE)):
        chart.add_bar(x=names, y=data[key], name=name, marker={"color": colour},
                      hovertemplate="trial %{x}: %{y} epochs " + name + "<extra></extra>")  # fmt: skip
    summary = (
        f"{saved.epochs_trained} epochs were trained; ASHA stopped {len(saved.trials)} trials and so left out "
        f"{saved.epochs_saved} more."
    )
    return Chart("asha", "Epochs by trial", summary, spec(chart), data, least_width=len(trained) * 14)
