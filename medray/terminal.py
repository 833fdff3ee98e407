"""Saying things to a person: lines that are not folded, and what is being waited for."""

import contextlib
from collections.abc import Iterator

from rich.console import Console


def say(console: Console, text: str) -> None:
    """Print a line as it is: neither folded, nor coloured, nor read as markup."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


@contextlib.contextmanager
def step(console: Console, text: str) -> Iterator[None]:
    """Say what is being waited for."""
    if console.is_terminal:
        with console.status(f"{text} …"):
            yield
    else:
        say(console, f"{text} ...")
        yield
