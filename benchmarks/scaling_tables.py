"""The tables of `scaling.py`'s results."""

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from search_quality.tables import write_between

PART = "scaling"  # the marks on a page, between which the tables stand
Result = dict[str, Any]


def read_results(path: Path) -> list[Result]:
    """Return the results of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows))


def name(result: Result) -> str:
    """Return what was run, in few words."""
    limited = ", with a time limit" if result["hours"] else ""
    drawn = ", on a terminal" if result["terminal"] else ""
    return f"{result['slots']} {result['kind']}{limited}{drawn}"


def busy_table(results: Sequence[Result]) -> str:
    """Return how busy the slots were."""
    columns = ("slots", "trials", "a trial", "epochs a trial", "slots busy", "… start and end included",
               "driver busy", "load average")  # fmt: skip
    rows = [
        (
            name(r), f"{r['trials']:,}", f"{r['trial_s']:.3g} s", f"{r['epochs']:.1f}", f"{r['busy']:.1%}",
            f"{r['busy_whole']:.1%} of {r['seconds']:.0f} s", f"{r['driver_share']:.0%} of a core",
            f"{r['load']:.1f}",
        )
        for r in results
    ]  # fmt: skip
    return table(columns, rows)


def cost_table(results: Sequence[Result]) -> str:
    """Return the driver's time for a trial, and what of it is spent on what."""
    parts = list(results[0]["parts_ms"])
    columns = (
        "ms of the driver a trial",
        *(f"{name(r)}: {r['trials']:,} of {r['epochs']:.1f} epochs" for r in results),
    )
    rows = [("all", *(f"{r['driver_ms']:.1f}" for r in results))]
    tenths = (("first tenth", 0), ("second", 1), ("fifth", 4), ("last", -1))
    rows += [(f"… {title}", *(f"{r['driver_ms_by_tenth'][i]:.1f}" for r in results)) for title, i in tenths]
    rows += [(part, *(f"{r['parts_ms'][part]:.1f}" for r in results)) for part in parts]
    return table(columns, rows)


def disk_table(result: Result) -> str:
    """Return what a run takes on disk, by the kind of file."""
    kinds = sorted(result["disk"].items(), key=lambda item: -item[1]["bytes"])
    rows = [
        (f"`{kind}`" + ("/" if kind == "tune" else ""), f"{use['files']:,}", f"{use['bytes'] / 1e6:,.1f}",
         f"{use['bytes'] / result['trials'] / 1e3:,.1f}")
        for kind, use in kinds if use["bytes"] >= 1e5
    ]  # fmt: skip
    return table((f"in a run of {result['trials']:,} trials", "files", "MB", "KB a trial"), rows)


def write_tables(results: Sequence[Result], page: Path | None) -> str:
    """Return all tables; write them between the marks of a page, if one is given."""
    loads = [result["load"] for result in results]
    head = (
        f"On a machine of {results[0]['cores']} cores; load average at the ends: median "
        f"{statistics.median(loads):.1f}, at most {max(loads):.1f}."
    )
    largest = max(results, key=lambda result: result["trials"])
    busy = [busy_table(longer)] if (longer := [r for r in results if r["epochs"] > 1]) else []
    text = "\n\n".join([head, *busy, cost_table(results), disk_table(largest)])
    if page is not None:
        write_between(page, PART, text)
    return text
