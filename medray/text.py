"""Counts, lists of names and times as words in a message."""

from collections.abc import Sequence


def first_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first `most` names, and how many more there are: `a, b, c and 2 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


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
