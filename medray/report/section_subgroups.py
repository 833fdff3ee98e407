"""Is it as good for everyone: the ensemble's scores in each subgroup, and the gaps at the operating points."""

from medray.console_tables import interval, metric_title, p_value
from medray.evaluate.print_subgroups import COUNTED, gap_lines, gap_text, main_rates, rates_title, subgroup_note
from medray.evaluate.subgroup_rates import SubgroupRates
from medray.report.blocks import Block, Table, Text, missing
from medray.report.evidence import Evidence
from medray.report.figures_decision import MOST_DRAWN
from medray.report.figures_subgroups import MOST_GROUPS, gaps_chart


def subgroups(evidence: Evidence) -> list[Block]:
    """Return each column's scores, its rates at the operating points with charts, and which gaps are shown."""
    scores = evidence.scores
    if scores is None or not scores.subgroups:
        return []
    counts, blocks = COUNTED[scores.unit], list[Block]()
    for name, rows in scores.subgroups.items():
        cells = [
            [row.value, str(row.images), interval(row.accuracy), interval(row.auc), subgroup_note(row)]
            for row in rows
        ]
        head = [name, f"{scores.unit}s", metric_title(evidence.task.share), metric_title("auc"), ""]
        blocks.append(Table(f"The ensemble by {name}, on the test split", head, cells, frozenset({4})))
    drawn = main_rates(scores.subgroup_rates, MOST_DRAWN)
    for index, table in enumerate(scores.subgroup_rates):
        main = table in drawn
        if main and any(table.tested) and len(table.groups) <= MOST_GROUPS:
            blocks.append(gaps_chart(table, index))
        blocks += [_rates(table, name, counted, folded=not main) for name, counted in counts.items()]
    blocks += [Text(line) for line in gap_lines(scores.subgroup_rates)]
    if not scores.operating_points:
        command = f"{evidence.command('ensemble')} --sensitivity 0.95"
        command += "" if evidence.label_sets else " --positive CLASS"
        problem = "No operating point was set, so there is no sensitivity by subgroup; before the split is read"
        blocks.append(missing(f"{problem} one can be, by", command))
    return blocks


def _rates(table: SubgroupRates, name: str, counted: str, *, folded: bool) -> Table:
    rows = []
    for group in table.groups:
        rate = group.rates[name]
        gap = rate.gap
        rows.append(
            [group.value, str(rate.rate.total), interval(rate.rate), gap_text(gap), p_value(gap.adjusted_p),
             gap.reason or ""]
        )  # fmt: skip
    head = [table.column, counted, name, "gap to all others", "p adjusted", ""]
    caption = f"{name.capitalize()} {rates_title(table)} on the test split; 95 % intervals"
    return Table(caption, head, rows, frozenset({5}), folded)
