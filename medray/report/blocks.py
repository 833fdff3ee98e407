"""What a report is made of, as plain values: sections, their parts, and the blocks of a part. No HTML here.

All text is plain: class names, file names and reasons may hold anything, and the page escapes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Columns = dict[str, list[Any]]  # of equal length; what JSON can hold


@dataclass(frozen=True)
class Text:
    """A paragraph; `kind` is plain, note, warning, missing (with the `command` that makes it) or damaged."""

    text: str
    kind: str = "plain"
    command: str | None = None
    block: ClassVar[str] = "text"


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows; `words` are columns of text, which are set to the left.

    One that is `folded` is shown when a person asks for it.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = frozenset()
    folded: bool = False
    block: ClassVar[str] = "table"


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix in images: true class by row, predicted one by column."""

    anchor: str
    caption: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    block: ClassVar[str] = "matrix"


@dataclass(frozen=True)
class Chart:
    """A figure for plotly.js, as its JSON `spec`, with the `data` that it shows, exactly.

    `summary` says what is to be seen, for those who don't see it; `table` holds its figures for reading.
    `square` figures are no wider than high; `least_width` in pixels makes narrow screens scroll.
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
    """A small image as a data URI, with what to say of it."""

    uri: str
    lines: Sequence[str]

    @property
    def alt(self) -> str:
        """The same in one line."""
        return ", ".join(self.lines)


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side."""

    caption: str
    pictures: Sequence[Picture]
    block: ClassVar[str] = "gallery"


@dataclass(frozen=True)
class Code:
    """Lines to be copied, such as commands; `folded` as a table's."""

    caption: str
    text: str
    folded: bool = False
    block: ClassVar[str] = "code"


Block = Text | Table | Matrix | Chart | Gallery | Code


@dataclass(frozen=True)
class Part:
    """A heading below a section's, and what stands there."""

    anchor: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Section:
    """One of the page's questions; `lead` answers it in a sentence or two."""

    anchor: str
    title: str
    lead: Sequence[Block]
    parts: Sequence[Part]


@dataclass(frozen=True)
class Header:
    """What stands above everything: whose report it is, its facts, and warnings."""

    title: str
    description: str
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[Text]


def when(time: str) -> str:
    """A time of a file, as people read it: 2026-11-21 04:26:53 UTC."""
    return time.replace("T", " ").replace("+00:00", " UTC")


def missing(what: str, command: str) -> Text:
    """What is not there, and the command that makes it."""
    return Text(f"{what}:", "missing", command)
