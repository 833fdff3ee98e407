"""Counts, lists of names and times as words in a message, and the order in which names stand."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def first_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first `most` names, and how many more there are: `a, b, c and 2 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names as people count: numbers by their value, then words, in which numbers count as numbers too.

    Words without digits stand as `sorted` has them.

    >>> natural_order(["10", "grade 10", "9", "grade 2", "-1", "1.5"])
    ['-1', '1.5', '9', '10', 'grade 2', 'grade 10']
    """
    return sorted(names, key=natural_key)


def natural_key(name: str) -> tuple[Any, ...]:
    """Return the key of `natural_order`: equal for equal names only, so that the order is total."""
    if _NUMBER.fullmatch(name):
        return False, Decimal(name), name
    parts: list[Any] = re.split("([0-9]+)", name)  # text, digits, text, …
    parts[1::2] = [(len(digits.lstrip("0")), digits.lstrip("0")) for digits in parts[1::2]]
    return True, parts, name


def without_secrets(text: str) -> str:
    """Return a text without what may be secret in its URIs: `user:password@`, and `?options` at the end.

    >>> without_secrets("no answer from https://ann:pa55@host/api?key=1 yet")
    'no answer from https://host/api yet'
    """
    text = re.sub(r"(?<=://)[^/\s]*@", "", text)
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1", text)


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return the count with its noun, as `1 image` or `2,000 images`; `nouns` is an irregular plural."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def clock(seconds: float) -> str:
    """Return seconds as 42 s, 3:05 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds:02d}"
    return f"{minutes}:{seconds:02d}" if minutes else f"{seconds} s"
