"""How good is it elsewhere: the readings of other images that `medray evaluate --external` has stored."""

from medray.evaluate.external.sheets import closing_line, external_sheets, opening_lines
from medray.report.blocks import Block, Table, Text
from medray.report.evidence import Evidence


def external(evidence: Evidence) -> list[Block]:
    """Return the tables and sentences of each set of other images; none where none was read."""
    blocks: list[Block] = []
    for evaluation in evidence.external_evaluations:
        blocks += [Text(line, "warning" if line.startswith(("COPIES", "NOT")) else "plain")
                   for line in opening_lines(evaluation)]  # fmt: skip
        for sheet in external_sheets(evaluation):
            if sheet.labels:
                head = [sheet.head, *(title.replace("\n", ", ") for title, _ in sheet.columns)]
                rows = [list(row) for row in zip(sheet.labels, *(c for _, c in sheet.columns), strict=True)]
                blocks.append(Table(sheet.title, head, rows))
            else:
                blocks.append(Text(sheet.title))
            blocks += [Text(line, "note") for line in sheet.lines]
        blocks.append(Text(closing_line(evaluation), "note"))
    return blocks
