"""A search space as sections of lines with reasons, and as YAML in the style of the shipped ones."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import yaml

from medray.config import yaml_number
from medray.errors import printable

WIDTH = 118


@dataclass(frozen=True)
class Line:
    """A key, its plain value, the reason for it, and commented-out lines that could take its place."""

    key: str
    value: object
    reason: str = ""
    alternative: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Lines under a name, or at the top level without one, with a comment above them."""

    name: str
    lines: Sequence[Line]
    comment: str = ""


def render(sections: Sequence[Section]) -> str:
    """Return the sections as YAML, a blank line between two; sections without lines are left out."""
    blocks = []
    for section in sections:
        head = [f"{section.name}:"] if section.name else []
        lines = [text for line in section.lines for text in _render_line(line, "  " if section.name else "")]
        if lines:
            blocks.append("\n".join([*comment_lines(section.comment), *head, *lines]))
    return "\n\n".join(blocks) + "\n"


def _render_line(line: Line, indent: str) -> Iterator[str]:
    """Yield the key and value with the reason behind it, or above it where they don't fit in one line."""
    first, *rest = _render_value(line, indent)
    if line.reason:
        with_reason = f"{first} # {printable(line.reason)}"
        if len(with_reason) > WIDTH:
            yield from comment_lines(line.reason, indent)
        else:
            first = with_reason
    yield first
    yield from rest
    for alternative in line.alternative:
        yield f"{indent}# {alternative}"


def comment_lines(text: str, indent: str = "") -> list[str]:
    """Return a comment, wrapped into as many lines as it needs."""
    start = f"{indent}# "
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False
    )


def _render_value(line: Line, indent: str) -> list[str]:
    """Return the key and value: in one line, but for lists of tables and tables that don't fit."""
    value, key = line.value, f"{indent}{_scalar(line.key)}:"
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [key, *(f"{indent}  - {_list_item(item)}" for item in value)]
    if isinstance(value, dict) and len(f"{key} {flow(value)}") > WIDTH:
        return [key, *(f"{indent}  {_scalar(name)}: {flow(item)}" for name, item in value.items())]
    if isinstance(value, str):
        return [f"{key} {_scalar(value, '{}')}"]
    return [f"{key} {flow(value)}"]


def _list_item(item: dict[str, object]) -> str:
    """Return a table in a list, without braces where it has a single table within, as a transform does."""
    if len(item) == 1:
        ((name, value),) = item.items()
        if isinstance(value, dict):
            return f"{_scalar(name)}: {flow(value)}"
    return flow(item)


def flow(value: object) -> str:
    """Return a plain value in YAML's flow style, which is one line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_scalar(key)}: {flow(item)}' for key, item in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    return _scalar(value)


def _scalar(value: object, context: str = "[{}, 0]") -> str:
    """Return a scalar; text is quoted where YAML would read something else in that context."""
    if isinstance(value, str):
        if _is_plain(value, context):
            return value
        return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=10**9).strip()
    if isinstance(value, float):
        return yaml_number(value, float)
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


@lru_cache(maxsize=1024)
def _is_plain(word: str, context: str) -> bool:
    """Return whether YAML reads an unquoted word in that context, and with a comment behind it, as that word."""
    if not word.isprintable():
        return False
    try:
        items = yaml.safe_load(f"- {context.format(word)} # {word}")
    except (yaml.YAMLError, ValueError):
        return False
    return bool(items in ([word], [[word, 0]]))
