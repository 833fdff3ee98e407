"""The contents of a report as plain values: sections, their parts, and the blocks of a part; no HTML.

All text is plain: class names, file names and reasons may hold any characters, and the page escapes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Columns = dict[str, list[Any]]  # of equal length; values that JSON can hold


@dataclass(frozen=True)
class Text:
    """A paragraph; `kind` is plain, note, warning, missing (with the `command` that makes it) or damaged."""

    text: str
    kind: str = "plain"
    command: str | None = None
    block: ClassVar[str] = "text"


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows; `words` are the indices of columns of text, left-aligned.

    A `folded` table is shown when it is opened. With `links`, an anchor or "" for each row, a last column
    links the parts of the page that have these anchors, by their titles.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = frozenset()
    folded: bool = False
    links: Sequence[str] = ()
    block: ClassVar[str] = "table"


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix in images: true class by row, predicted class by column."""

    anchor: str
    caption: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    block: ClassVar[str] = "matrix"


@dataclass(frozen=True)
class Chart:
    """A figure for plotly.js, as its JSON `spec`, with exactly the `data` that it shows.

    `summary` describes it for those who can't see it; `table` holds its figures for reading. `square` figures are
    no wider than high; `least_width` in pixels makes narrow screens scroll.
    """

    anchor: str
    title: str
    summary: str
    spec: dict[str, Any]
    data: Columns
    table: Table | None = None
    square: bool = False
    least_width: int = 0
    block: ClassVar[str] = "chart"


@dataclass(frozen=True)
class Picture:
    """A small image as a data URI, with the lines of its caption."""

    uri: str
    lines: Sequence[str]

    @property
    def alt(self) -> str:
        """The caption in one line, for the alt attribute."""
        return ", ".join(self.lines)


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side."""

    caption: str
    pictures: Sequence[Picture]
    block: ClassVar[str] = "gallery"


@dataclass(frozen=True)
class Code:
    """Lines to be copied, such as commands; `folded` as in `Table`."""

    caption: str
    text: str
    folded: bool = False
    block: ClassVar[str] = "code"


Block = Text | Table | Matrix | Chart | Gallery | Code


@dataclass(frozen=True)
class Part:
    """A part of a section: its heading and blocks."""

    anchor: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class PageSection:
    """One of the page's questions; `lead` predictions it in a sentence or two."""

    anchor: str
    title: str
    lead: Sequence[Block]
    parts: Sequence[Part]


@dataclass(frozen=True)
class PageHeader:
    """The top of the page: title, description, facts as name and value, and warnings."""

    title: str
    description: str
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[Text]


def readable_time(time: str) -> str:
    """Return an ISO 8601 time in UTC as people read it: 2026-11-21 04:26:53 UTC."""
    return time.replace("T", " ").replace("+00:00", " UTC")


def missing(problem: str, command: str) -> Text:
    """Return the block that says what is missing, and which command makes it."""
    return Text(f"{problem}:", "missing", command)
