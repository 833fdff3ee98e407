"""Print how the ensemble did in each subgroup: accuracy and AUC, and the rates of the operating points."""

from collections.abc import Sequence

from rich.console import Console

from medray.console import say
from medray.console_tables import Columns, interval, number, p_value, print_table
from medray.evaluate.scores_document import Scores
from medray.evaluate.subgroup_rates import GroupRates, SubgroupRates
from medray.stats.share_gap import ShareGap
from medray.stats.subgroups import SubgroupScores
from medray.text import plural

LISTED = 5  # gaps that are shown in words


def print_subgroups(console: Console, scores: Scores) -> None:
    """Print each column's scores, then its rates at each operating point, and which gaps are shown."""
    for name, rows in scores.subgroups.items():
        columns = [("images", [str(row.images) for row in rows])]
        columns += [("accuracy", [interval(row.accuracy) for row in rows])]
        columns += [("AUC", [interval(row.auc) for row in rows]), ("", list(map(subgroup_note, rows)))]
        print_table(console, f"The ensemble by {name}", [row.value for row in rows], columns, name)
    for table in scores.subgroup_rates:
        _print_rates(console, table)
    for line in gap_lines(scores.subgroup_rates):
        say(console, line)


def _print_rates(console: Console, table: SubgroupRates) -> None:
    columns: Columns = []
    for noun, name in (("cases", "sensitivity"), ("others", "specificity")):
        rates = [getattr(group, name) for group in table.groups]
        columns.append((noun, [str(rate.rate.total) for rate in rates]))
        columns.append((name, [interval(rate.rate) for rate in rates]))
        columns.append(("gap", [gap_text(rate.gap) for rate in rates]))
    labels, notes = [group.value for group in table.groups], list(map(rates_note, table.groups))
    notes = notes if any(notes) else []
    print_table(console, f"{rates_title(table)}; gaps to all other images", labels, columns, table.column, notes)


def subgroup_note(row: SubgroupScores) -> str:
    """Return why a subgroup has no intervals, empty where it has."""
    return f"{row.flag} ({row.accuracy.reason})" if row.flag else ""


def rates_title(table: SubgroupRates) -> str:
    """Return the title of a column's rates at an operating point."""
    return f"The ensemble by {table.column} at {table.point} ('{table.positive}')"


def gap_text(gap: ShareGap) -> str:
    """Return a gap with its sign and its interval, and a star where it is shown."""
    return interval(gap, sign=True) + (" *" if gap.shown else "")


def rates_note(group: GroupRates) -> str:
    """Return why rates or gaps of a group have no interval, empty where all have."""
    reasons = {"sensitivity": group.sensitivity.gap.reason, "specificity": group.specificity.gap.reason}
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)


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
    which = f"shown (*): {'; '.join(shown[:LISTED])}{more}" if shown else "none is shown"
    lines = [f"{plural(len(tested), 'gap')} looked at; by p adjusted for all of them (Holm) {which}."]
    if not shown:
        lines.append("A gap that is not shown may still be there: its interval says how large it may be.")
    shared = {table.column: table.shared_patients for table in tables if table.shared_patients}
    lines += [
        f"{plural(count, 'patient')} in several groups of {column}: intervals of its gaps are wider than need be."
        for column, count in shared.items()
    ]
    return lines
