"""The picture: best validation AUC over time, the seeds' median, a panel for each data set (needs matplotlib)."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .results import Result
from .run_contestant import CONTESTANTS
from .tables import contestants_in, finished, sets_in

COLOURS = dict(zip(CONTESTANTS, ("#d62728", "#7f7f7f", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd"), strict=True))
POINTS = 400  # of a curve
PANELS = 3  # in a row
LOWEST = 0.02  # share of the curves' values below the panel, so that a first epoch at chance does not flatten it


def draw(results: Sequence[Result], path: Path) -> None:
    """Write the picture to a file, whose ending says its kind (.svg, .png)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sets = sets_in(results)
    columns = min(PANELS, len(sets) + 1)  # the panel after the last set's holds the legend
    rows = math.ceil((len(sets) + 1) / columns)
    size = (3.4 * columns, 3.0 * rows)
    figure, grid = pyplot.subplots(rows, columns, figsize=size, squeeze=False, constrained_layout=True)
    panels = grid.flatten().tolist()
    for panel, data_set in zip(panels, sets, strict=False):
        draw_panel(panel, [r for r in results if r.set == data_set.name])
        panel.set_title(data_set.title, fontsize=10)
    for panel in panels[len(sets) :]:
        panel.axis("off")
    handles = [
        pyplot.Line2D([], [], color=COLOURS[name], label=CONTESTANTS[name].title)
        for name in contestants_in(results)
    ]
    panels[len(sets)].legend(handles=handles, loc="center", frameon=False, fontsize=10)
    figure.supxlabel("seconds since the start", fontsize=10)
    figure.supylabel("best validation AUC so far", fontsize=10)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def draw_panel(panel: Any, results: Sequence[Result]) -> None:
    """Draw each contestant's median over its seeds, with the seeds' range in a lighter shade."""
    times = np.linspace(0, max(result.budget for result in results), POINTS)
    shown: list[float] = []
    highest: list[float] = []
    for name in contestants_in(results):
        named = finished(results, results[0].set, name)
        xs, rows = [], []
        for time in times.tolist():
            bests = [best for result in named if (best := result.best_at(time)) is not None]
            if bests and len(bests) == len(named):
                xs.append(time)
                rows.append(bests)
        middle = [statistics.median(row) for row in rows]
        panel.plot(xs, middle, color=COLOURS[name], linewidth=2.2 if name == "medray" else 1.4, zorder=3)
        panel.fill_between(xs, [*map(min, rows)], [*map(max, rows)], color=COLOURS[name], alpha=0.12, linewidth=0)
        shown += middle
        highest += map(max, rows)
    if shown:
        low, high = float(np.quantile(shown, LOWEST)), max(highest)
        panel.set_ylim(low - 0.1 * (high - low) - 0.002, high + 0.05 * (high - low))
    panel.set_xlim(0, times[-1])
    panel.grid(alpha=0.3)
