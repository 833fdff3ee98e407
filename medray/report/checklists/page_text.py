"""The tables of docs/checklists.md, in Markdown; cog writes them there."""

from medray.report.checklists.claim import CLAIM
from medray.report.checklists.items import Checklist, count_line
from medray.report.checklists.tripod_ai import TRIPOD_AI

CHECKLISTS = (TRIPOD_AI, CLAIM)


def checklist_tables() -> str:
    """Return a section for each checklist: what a run can give of each item, what is left, and the counts."""
    return "\n\n".join(map(_section, CHECKLISTS))


def _section(checklist: Checklist) -> str:
    lines = [f"## {checklist.name}", "", f"{checklist.publication}.", ""]
    lines += [
        "| item | topic | where it stands | what the report gives | what a person writes |",
        "|---|---|---|---|---|",
    ]
    for item in checklist.items:
        given = item.why_not if item.fact is None else item.fact.summary
        lines.append(f"| {item.number} | {item.topic} | {item.status} | {given} | {item.write} |")
    return "\n".join([*lines, "", count_line(checklist.name, [item.status for item in checklist.items])])
