"""What was measured, a JSON line each, and its tables in Markdown."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_quality.tables import MISSING, table

from medray.json_document import JsonDocument

from .ways import WAYS

RAW = "raw"  # Ensemble.predict in a loop; its `clients` are the images of a batch


@dataclass(frozen=True)
class Measured(JsonDocument):
    """One load on one way: images a second, milliseconds of an answer, and how many were no answers.

    `cpu` is the processor time, in milliseconds for each image, of the service and all its processes: other work
    on the machine changes that less than the rest.
    """

    way: str
    size: int
    clients: int
    rate: float
    p50: float
    p99: float
    cpu: float
    bad: int
    load: float  # the machine's load average before it
    commit: str | None


def append(path: Path, measured: Measured) -> None:
    """Add a line to the file, which is made where there is none."""
    with path.open("a") as file:
        file.write(json.dumps(measured.to_dict()) + "\n")


def read(path: Path) -> list[Measured]:
    """Return the lines of the file, in order."""
    return [Measured.from_dict(json.loads(line), str(path)) for line in path.read_text().splitlines()]


def tables(results: Sequence[Measured]) -> str:
    """Return the table of each size, and what stands around them."""
    served = [result for result in results if result.way != RAW]
    sizes = sorted({result.size for result in served})
    parts = [
        _head(results),
        *(_by_clients(served, size) for size in sizes),
        _processor_time(served, sizes),
        _behind(served, sizes),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(results: Sequence[Measured]) -> str:
    load = statistics.median(result.load for result in results)
    lines = (
        "Images a second, and in brackets the median milliseconds of an answer, medians of the runs: "
        f"{_runs(results)}. {MISSING}: no result. Load average before the runs: median {load:.1f}."
    )
    batches = {cell[2]: _median(times, "rate") for cell, times in _by_cell(results).items() if cell[0] == RAW}
    if not batches:
        return lines
    best = max(batches, key=lambda batch: batches[batch])
    fastest = f"{batches[1]:.0f} images/s at batch 1, {batches[best]:.0f} at {best}"
    return f"{lines} `Ensemble.predict` in a loop, without HTTP or decoding: {fastest}."


def _runs(results: Sequence[Measured]) -> str:
    """Return how often each way was measured, and at which commits."""
    parts = []
    for way in dict.fromkeys(result.way for result in results):
        times = max(len(times) for cell, times in _by_cell(results).items() if cell[0] == way)
        commits = sorted({result.commit or "no commit" for result in results if result.way == way})
        title = "`Ensemble.predict`" if way == RAW else WAYS[way].title
        parts.append(f"{title} {times} ({', '.join(commits)})")
    return "; ".join(parts)


def _by_cell(results: Sequence[Measured]) -> dict[tuple[str, int, int], list[Measured]]:
    cells: dict[tuple[str, int, int], list[Measured]] = {}
    for result in results:
        cells.setdefault((result.way, result.size, result.clients), []).append(result)
    return cells


def _median(times: Sequence[Measured], name: str) -> float:
    values: list[float] = [getattr(measured, name) for measured in times]
    return statistics.median(values)


def _by_clients(results: Sequence[Measured], size: int) -> str:
    cells = _by_cell([result for result in results if result.size == size])
    clients = sorted({cell[2] for cell in cells})
    firsts = {count: _first(cells, size, count) for count in clients}
    rows = []
    for name, way in WAYS.items():
        row = [_cell(cells.get((name, size, count), []), is_first=firsts[count] == name) for count in clients]
        if any(cell != MISSING for cell in row):
            rows.append([way.title, *row])
    units = [f"{count} client" + ("s" if count > 1 else "") for count in clients]
    return table([f"{size}×{size}", *units], rows)


def _processor_time(results: Sequence[Measured], sizes: Sequence[int]) -> str:
    """Return the table of processor time, one column for each size and number of clients."""
    cells = _by_cell(results)
    loads = sorted({cell[1:] for cell in cells if cell[2] in (1, 32)})
    rows = []
    for name, way in WAYS.items():
        times = [cells.get((name, *load)) for load in loads]
        if any(times):
            rows.append([way.title, *(MISSING if not one else f"{_median(one, 'cpu'):.2f}" for one in times)])
    columns = [f"{size}×{size}, {clients}" for size, clients in loads]
    return table(["processor time of the service, ms an image", *columns], rows)


def _first(cells: Mapping[tuple[str, int, int], Sequence[Measured]], size: int, clients: int) -> str:
    rates = {cell[0]: _median(times, "rate") for cell, times in cells.items() if cell[1:] == (size, clients)}
    return max(rates, key=lambda way: rates[way])


def _cell(times: Sequence[Measured], *, is_first: bool) -> str:
    if not times:
        return MISSING
    p50, bad = _median(times, "p50"), sum(measured.bad for measured in times)
    rate = f"{_median(times, 'rate'):.0f}"
    text = f"**{rate}**" if is_first else rate
    return f"{text} ({p50:.1f})" + (f", {bad} without an answer" if bad else "")


def _behind(results: Sequence[Measured], sizes: Sequence[int]) -> str:
    """Return a line for each load at which others make more images a second than medray."""
    cells = _by_cell(results)
    lines = []
    for size in sizes:
        for clients in sorted({cell[2] for cell in cells if cell[1] == size}):
            if not (own := cells.get(("medray", size, clients))):
                continue
            ratios = {
                WAYS[way].title: _median(times, "rate") / _median(own, "rate")
                for (way, *load), times in cells.items() if load == [size, clients]
            }  # fmt: skip
            ahead = sorted(((ratio, title) for title, ratio in ratios.items() if ratio > 1), reverse=True)
            if ahead:
                named = "; ".join(f"{title} {ratio:.2f} times" for ratio, title in ahead)
                lines.append(f"- {size}×{size}, {clients} client{'s' * (clients > 1)}: {named}")
    return "\n".join(["Ahead of medray, by images a second:", "", *lines]) if lines else ""
