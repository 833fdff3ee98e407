"""Tables of promises: their form, and the page that they are written into."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

KIND = ("AUC", "images", "cases", "of each patient")  # a table's first columns: those of `Condition.cells`


@dataclass
class Section:
    """A part's table in Markdown, with the promises that its studies broke, and further lines about them."""

    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def table(self) -> str:
        """The table in Markdown."""
        rows = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)

    @property
    def text(self) -> str:
        """Table, notes and broken promises in Markdown."""
        broken = "\n".join(f"- {line}" for line in self.broken) or "- nothing"
        return "\n\n".join([self.table, *self.notes, "Broken:", broken])


def write_section(page: Path, part: str, section: Section) -> None:
    """Put the section between the page's two marks of this part, and leave the rest of the page as it is.

    Raises:
        ValueError: the page does not have both marks.
    """
    first, last = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, opening, rest = page.read_text().partition(first)
    _, closing, after = rest.partition(last)
    if not (opening and closing):
        raise ValueError(f"{page} lacks the marks {first} and {last}: put both where the table shall stand")
    page.write_text(f"{before}{first}\n\n{section.text}\n\n{last}{after}")
