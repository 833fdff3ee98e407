"""A search space as sections of lines, each with its reason; as YAML in the style of those that ship."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import yaml

from medray.errors import printable

WIDTH = 118


@dataclass(frozen=True)
class Line:
    """A key, its plain value, why it has that value, and lines that a person may take instead."""

    key: str
    value: object
    why: str = ""
    instead: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A section of lines; one without a name has its lines at the left edge. `why` stands above it."""

    name: str
    lines: Sequence[Line]
    why: str = ""


def render(sections: Sequence[Section]) -> str:
    """Write sections, a blank line between two; sections without lines are left out."""
    return "\n\n".join("\n".join(_section(own)) for own in sections if own.lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield from comment(section.why)
    pad = "  " if section.name else ""
    if section.name:
        yield f"{section.name}:"
    for line in section.lines:
        yield from _line(line, pad)


def _line(line: Line, pad: str) -> Iterator[str]:
    first, *rest = _value(line, pad)
    beside = f"{first} # {printable(line.why)}"
    if line.why and len(beside) > WIDTH:
        yield from comment(line.why, pad)
    yield beside if line.why and len(beside) <= WIDTH else first
    yield from rest
    for own in line.instead:
        yield f"{pad}# {own}"


def comment(text: str, pad: str = "") -> list[str]:
    """A comment of as many lines as it needs."""
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=f"{pad}# ", subsequent_indent=f"{pad}# ", break_on_hyphens=False
    )


def _value(line: Line, pad: str) -> list[str]:
    """In one line where it fits; a list of tables, and a table that does not fit, in several."""
    value, head = line.value, f"{pad}{_scalar(line.key)}:"
    if isinstance(value, list) and value and all(isinstance(own, dict) for own in value):
        return [head, *(f"{pad}  - {_step(own)}" for own in value)]
    if isinstance(value, dict) and len(f"{head} {flow(value)}") > WIDTH:
        return [head, *(f"{pad}  {_scalar(key)}: {flow(own)}" for key, own in value.items())]
    if isinstance(value, str):
        return [f"{head} {_scalar(value, '{}')}"]
    return [f"{head} {flow(value)}"]


def _step(item: dict[str, object]) -> str:
    """A list's table; one of a single table within, as a transform is, without braces of its own."""
    if len(item) == 1:
        ((key, own),) = item.items()
        if isinstance(own, dict):
            return f"{_scalar(key)}: {flow(own)}"
    return flow(item)


def flow(value: object) -> str:
    """A plain value in one line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_scalar(key)}: {flow(own)}' for key, own in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    return _scalar(value)


def _scalar(value: object, among: str = "[{}, 0]") -> str:
    """A value as it stands `among` other text; words in quotes where YAML would read something else."""
    if isinstance(value, str):
        if _reads(value, among):
            return value
        return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=10**9).strip()
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


@lru_cache(maxsize=1024)
def _reads(word: str, among: str) -> bool:
    """Whether YAML reads a word among other text, and with a comment behind it, as that word."""
    if not word.isprintable():
        return False
    try:
        found = yaml.safe_load(f"- {among.format(word)} # {word}")
    except (yaml.YAMLError, ValueError):
        return False
    return bool(found in ([word], [[word, 0]]))
