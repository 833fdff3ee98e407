"""What is left to write: the items of two reporting checklists, filled in from the run as far as it goes."""

from medray.report.blocks import Block, Table, Text
from medray.report.checklists.claim import CLAIM
from medray.report.checklists.items import Checklist, count_line, standing
from medray.report.checklists.tripod_ai import TRIPOD_AI
from medray.report.evidence import Evidence


def checklists_lead(evidence: Evidence) -> list[Block]:
    """Return what the tables are, and what they are not."""
    return [
        Text(
            "Where each item of two reporting checklists stands: given by this run, to be written by a person, or "
            "not applicable. Topics are in other words than the checklists': read these too."
        ),
        Text(
            "A help for writing, not a certificate: an item that is given may still be poor, or not enough.",
            "note",
        ),
    ]


def tripod_ai(evidence: Evidence) -> list[Block]:
    """Return where the items of TRIPOD+AI stand."""
    return _standings(TRIPOD_AI, evidence)


def claim(evidence: Evidence) -> list[Block]:
    """Return where the items of CLAIM stand."""
    return _standings(CLAIM, evidence)


def _standings(checklist: Checklist, evidence: Evidence) -> list[Block]:
    standings = [standing(item, evidence) for item in checklist.items]
    rows = [[row.item.number, row.item.topic, row.status, row.given, row.left] for row in standings]
    head = ["item", "topic", "where it stands", "what this report gives", "what is left to write"]
    table = Table(
        f"{checklist.name}, item by item", head, rows, frozenset({1, 2, 3, 4}), folded=True,
        links=[row.anchor for row in standings],
    )  # fmt: skip
    counts = count_line(checklist.name, [row.status for row in standings])
    return [Text(f"{checklist.publication}."), table, Text(counts)]
