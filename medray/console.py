"""The console: lines that are not folded, and progress of what is being waited for."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live

from medray._types import Progress

if TYPE_CHECKING:
    from rich.console import Console

QUIET, FRAME, LINE = 2.0, 0.2, 10.0  # seconds: until anything is told, then between two pictures or two lines


def say(console: Console, text: str) -> None:
    """Print a line as it is: neither folded, nor coloured, nor read as markup."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


@contextlib.contextmanager
def step(console: Console, text: str) -> Iterator[Progress]:
    """Say what is being waited for, and how far it has come where the block tells that."""
    began = last = time.monotonic()
    status = console.status(f"{text} …") if console.is_terminal else None

    def told(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - began < QUIET or now - last < (FRAME if status else LINE):
            return
        last = now
        so_far = f"{what.lower()} {done:,} of {total:,}"
        if status:
            status.update(f"{text} … {so_far}")
        else:
            say(console, f"  {so_far}")

    if status is None:
        say(console, f"{text} ...")
        yield told
    else:
        with status:
            yield told


@contextlib.contextmanager
def live_picture(console: Console, draw: Callable[[], RenderableType]) -> Iterator[bool]:
    """Show what `draw` gives, again and again, where there is a terminal; tell whether there is one."""
    if not console.is_terminal:
        yield False
        return
    with Live(get_renderable=draw, console=console, refresh_per_second=4):
        yield True


LOG_WIDTH, NARROW = 160, 80  # of a log; narrow as most terminals are


def make_console(as_json: bool = False, *, width: int = LOG_WIDTH) -> "Console":
    """The console that progress goes to: stdout, or stderr where stdout is for programs.

    A log has no edge to fold tables at: it is `width` wide.
    """
    from rich.console import Console

    stream = sys.stderr if as_json else sys.stdout  # by name: what Tune prints is redirected away
    console = Console(file=stream)
    return console if console.is_terminal else Console(file=stream, width=width)
