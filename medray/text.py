"""Counts and lists of names as words in a message."""

from collections.abc import Sequence


def first_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first `most` names, and how many more there are: `a, b, c and 2 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return the count with its noun, as `1 image` or `2,000 images`; `nouns` is an irregular plural."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
