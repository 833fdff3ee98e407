"""The tables of the results, in Markdown."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from .data_sets import SETS, BenchmarkSet
from .paired import Lead, auc_lead, mean_lead
from .results import FINISHED, Result
from .run_contestant import CONTESTANTS

OVERDUE = 1.05  # times the budget, beyond which a time is marked
MISSING = "–"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows))


def finished(results: Sequence[Result], data_set: str, contestant: str) -> list[Result]:
    """Return the finished results of a contestant on a set, by seed."""
    named = [r for r in results if (r.set, r.contestant, r.state) == (data_set, contestant, FINISHED)]
    return sorted(named, key=lambda result: result.seed)


def contestants_in(results: Sequence[Result]) -> list[str]:
    """Return the names of the contestants that have results, in the order of all contestants."""
    return [name for name in CONTESTANTS if any(result.contestant == name for result in results)]


def sets_in(results: Sequence[Result]) -> list[BenchmarkSet]:
    """Return the sets that have results, in the order of all sets."""
    return [data_set for name, data_set in SETS.items() if any(result.set == name for result in results)]


def mean_cell(values: Sequence[float | None], digits: int = 3) -> str:
    """Return the mean, and each value in brackets where there are several."""
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    each = ", ".join(f"{value:.{digits}f}" for value in known)
    return f"{statistics.fmean(known):.{digits}f}" + (f" ({each})" if len(known) > 1 else "")


def by_set(results: Sequence[Result], cell: Callable[[list[Result]], str], title: str) -> str:
    """Return a table of the contestants by set, with a cell made of each one's results."""
    sets = sets_in(results)
    rows = [
        [CONTESTANTS[name].title, *(cell(finished(results, data_set.name, name)) for data_set in sets)]
        for name in contestants_in(results)
    ]
    return table([title, *(data_set.title for data_set in sets)], rows)


def final_table(results: Sequence[Result]) -> str:
    """Return the best validation AUC at the end, of those with an epoch in time: mean of the seeds, and each."""

    def cell(named: list[Result]) -> str:
        return mean_cell([r.final if r.curve else None for r in named])

    return by_set(results, cell, "best validation AUC")


def test_table(results: Sequence[Result]) -> str:
    """Return test AUC and accuracy of what each hands over, with the published figures and the targets.

    A last column has the mean AUC of all sets, for contestants that have results of each.
    """

    def cell(named: list[Result]) -> str:
        parts = mean_cell([r.test_auc for r in named]), mean_cell([r.test_accuracy for r in named])
        return MISSING if parts[0] == MISSING else " / ".join(parts)

    sets = sets_in(results)
    rows = [
        [title, *(" / ".join(MISSING if v is None else f"{v:.3f}" for v in figures(s)) for s in sets)]
        for title, figures in (("published, best of each", published), ("target", target))
    ]
    for name in reversed(contestants_in(results)):
        named = [finished(results, data_set.name, name) for data_set in sets]
        aucs = [statistics.fmean(r.test_auc or 0.0 for r in each) for each in named if each]
        mean = f"{statistics.fmean(aucs):.3f}" if len(aucs) == len(sets) else MISSING
        rows.insert(0, [CONTESTANTS[name].title, *map(cell, named), mean])
    columns = ["test AUC / accuracy", *(data_set.title for data_set in sets), "mean AUC"]
    return table(columns, [[*row, *[""] * (len(columns) - len(row))] for row in rows])


def paired_table(results: Sequence[Result], name: str = "medray") -> str:
    """Return how much higher the test AUC of `name` is than each other's, with its interval over test images."""
    sets = sets_in(results)
    rows = []

    def cell(lead: Lead | None) -> str:
        return MISSING if lead is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*lead)

    for other in contestants_in(results):
        named = [(finished(results, s.name, name), finished(results, s.name, other)) for s in sets]
        leads = [auc_lead(*pair) for pair in named] if other != name else []
        known = [lead for lead in leads if lead is not None]
        if known:
            mean = mean_lead(known) if len(known) == len(sets) else None
            rows.append([CONTESTANTS[other].title, *map(cell, [*leads, mean])])
    columns = [f"test AUC of {name} less theirs (95 %)", *(s.title for s in sets), "mean"]
    return table(columns, rows) if rows else ""


def published(data_set: BenchmarkSet) -> tuple[float | None, float | None]:
    """Return the published AUC and accuracy of a set."""
    return data_set.published


def target(data_set: BenchmarkSet) -> tuple[float | None, float | None]:
    """Return the AUC and accuracy to reach on a set."""
    return data_set.target


def lead_table(results: Sequence[Result], name: str = "medray") -> str:
    """Return how soon `name` reaches what the best of the others has at the end of its time.

    That value is the mean of its seeds' best validation AUC. The time is of the seeds' mean curve: the first
    moment at which the mean over all seeds of the best so far is as high, as a share of the budget.
    """
    rows = []
    for data_set in sets_in(results):
        own = finished(results, data_set.name, name)
        others = {
            other: statistics.fmean(r.final for r in named)
            for other in contestants_in(results)
            if other != name and (named := finished(results, data_set.name, other))
        }
        if not own or not others:
            continue
        second = max(others, key=lambda other: others[other])
        share = share_of_time(own, others[second])
        rows.append([
            data_set.title, CONTESTANTS[second].title, f"{others[second]:.3f}", mean_cell([r.final for r in own]),
            "never" if share is None else f"{share:.0%}",
        ])  # fmt: skip
    return table(["", "best of the others", "its final AUC", name, f"{name} is there after"], rows)


def share_of_time(own: Sequence[Result], value: float) -> float | None:
    """Return the share of the budget after which the seeds' mean best AUC is `value`, None where it never is."""
    for time in sorted({time for result in own for time, _ in result.curve}):
        bests = [result.best_at(time) for result in own]
        if None not in bests and statistics.fmean(best or 0.0 for best in bests) >= value:
            return time / own[0].budget
    return None


def time_table(results: Sequence[Result]) -> str:
    """Return seconds until the model was handed over, and trials; a * marks those over the time."""

    def cell(named: list[Result]) -> str:
        over = any((r.seconds or 0.0) > OVERDUE * r.budget for r in named)
        times = mean_cell([r.seconds for r in named], 0)
        trials = "/".join(str(r.trials) for r in named)
        return MISSING if not named else f"{times}{'*' if over else ''}; {trials}"

    return by_set(results, cell, "seconds; trials of each seed")


def all_tables(results: Sequence[Result]) -> str:
    """Return all tables of results of one budget, with the conditions in a line."""
    budgets = sorted({result.budget for result in results})
    threads = sorted({result.threads for result in results})
    seeds = sorted({result.seed for result in results})
    commits = sorted({result.commit or "?" for result in results if result.contestant == "medray"})
    loads = [result.load for result in results]
    head = (
        f"{' or '.join(f'{b:g}' for b in budgets)} s each on {' or '.join(map(str, threads))} threads, seeds "
        f"{', '.join(map(str, seeds))}; medray at {', '.join(commits) or '?'}; load average at the starts: median "
        f"{statistics.median(loads):.2f}, at most {max(loads):.2f}."
    )
    failed = [
        f"- {CONTESTANTS[r.contestant].title}, {SETS[r.set].title}, seed {r.seed}: {r.reason}"
        for r in results
        if r.state != FINISHED
    ]
    parts = [
        head, final_table(results), lead_table(results), test_table(results), paired_table(results),
        time_table(results),
    ]  # fmt: skip
    return "\n\n".join([*filter(None, parts), *(["Without a result:\n\n" + "\n".join(failed)] if failed else [])])


def write_between(page: Path, part: str, text: str) -> None:
    """Put the text between the page's two marks of this part, and leave the rest of the page as it is.

    Raises:
        ValueError: the page does not have both marks.
    """
    first, last = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, opening, rest = page.read_text().partition(first)
    _, closing, after = rest.partition(last)
    if not (opening and closing):
        raise ValueError(f"{page} lacks the marks {first} and {last}: put both where the tables shall stand")
    page.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}")
