"""Print how the ensemble did in each subgroup: accuracy and AUC, and the rates of the operating points."""

from collections.abc import Sequence

from rich.console import Console

from medray.console import say
from medray.console_tables import interval, metric_title, number, p_value, print_table
from medray.evaluate.scores_document import Scores
from medray.evaluate.subgroup_rates import SENSITIVITY, SPECIFICITY, SubgroupRates
from medray.stats.share_gap import ShareGap
from medray.stats.subgroups import SubgroupScores
from medray.tasks import TASKS
from medray.text import first_names, plural

LISTED = 5  # gaps that are shown in words
#: What a rate is of, by what an answer is of: "cases" are positive images, except where cases are answered.
COUNTED = {
    "image": {SENSITIVITY: "cases", SPECIFICITY: "others"},
    "case": {SENSITIVITY: "positive cases", SPECIFICITY: "other cases"},
}
MOST_EVENTS = 3  # of which tables are printed


def print_subgroups(console: Console, scores: Scores) -> None:
    """Print each column's scores, then its rates at each operating point, and which gaps are shown."""
    for name, rows in scores.subgroups.items():
        columns = [(f"{scores.unit}s", [str(row.images) for row in rows])]
        columns += [(metric_title(TASKS[scores.task].share), [interval(row.accuracy) for row in rows])]
        columns += [("AUC", [interval(row.auc) for row in rows]), ("", list(map(subgroup_note, rows)))]
        print_table(console, f"The ensemble by {name}", [row.value for row in rows], columns, name)
    printed = main_rates(scores.subgroup_rates, MOST_EVENTS)
    for table in printed:
        _print_rates(console, table, scores.unit)
    if rest := {table.positive: "" for table in scores.subgroup_rates if table not in printed}:
        where = "are in scores.json, and in the page of medray report"
        say(console, f"Rates by subgroup of {first_names(list(rest))} {where}.")
    for line in gap_lines(scores.subgroup_rates):
        say(console, line)


def main_rates(tables: Sequence[SubgroupRates], most: int) -> list[SubgroupRates]:
    """Return the tables of at most so many events, in their order: those whose gaps have the lowest adjusted p."""
    least: dict[str, float] = {}
    for table in tables:
        values = [gap.adjusted_p for *_, gap in table.tested if gap.adjusted_p is not None]
        least[table.positive] = min([least.get(table.positive, 1.0), *values])
    kept = sorted(least, key=lambda event: least[event])[:most]
    return [table for table in tables if table.positive in kept]


def _print_rates(console: Console, table: SubgroupRates, unit: str) -> None:
    labels = [group.value for group in table.groups]
    for name, counted in COUNTED[unit].items():
        rates = [group.rates[name] for group in table.groups]
        columns = [
            (counted, [str(rate.rate.total) for rate in rates]),
            (name, [interval(rate.rate) for rate in rates]),
            ("gap to all others", [gap_text(rate.gap) for rate in rates]),
        ]
        notes = [rate.gap.reason or "" for rate in rates]
        title = f"{name.capitalize()} {rates_title(table)}"
        print_table(console, title, labels, columns, table.column, notes if any(notes) else ())


def subgroup_note(row: SubgroupScores) -> str:
    """Return why a subgroup has no intervals, empty where it has."""
    reason = row.accuracy.reason or row.auc.reason
    return (row.flag + (f" ({reason})" if reason else "")) if row.flag else ""


def rates_title(table: SubgroupRates) -> str:
    """Return which column's rates these are, and of which operating point."""
    return f"by {table.column} at {table.point} ('{table.positive}')"


def gap_text(gap: ShareGap) -> str:
    """Return a gap with its sign and its interval, and a star where it is shown."""
    return interval(gap, sign=True) + " *" * gap.shown


def gap_lines(tables: Sequence[SubgroupRates]) -> list[str]:
    """Return how many gaps were looked at, which are shown, and where patients stand in several groups."""
    tested = [(table, *gap) for table in tables for gap in table.tested]
    if not tested:
        return []
    shown = [
        f"{name} of {table.column} {group.value} at {table.point} {number(gap.value, sign=True)} "
        f"(p adjusted {p_value(gap.adjusted_p)})"
        for table, group, name, gap in sorted(tested, key=lambda row: row[3].adjusted_p or 0.0)
        if gap.shown
    ]
    more = f" and {len(shown) - LISTED} more" if len(shown) > LISTED else ""
    which = f"Shown (*): {'; '.join(shown[:LISTED])}{more}" if shown else "None is shown"
    lines = [f"{plural(len(tested), 'gap')} looked at, with p adjusted for all of them (Holm). {which}."]
    if not shown:
        lines.append("A gap that is not shown may still be there: its interval says how large it may be.")
    shared = {table.column: table.shared_patients for table in tables if table.shared_patients}
    lines += [
        f"{plural(count, 'patient')} with images in several groups of {column}: where these are alike, the "
        "intervals of its gaps are wider than need be."
        for column, count in shared.items()
    ]
    return lines
