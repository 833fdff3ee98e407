"""The console: lines that are not folded, and the progress of long steps."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.live import Live

from medray._types import Progress

QUIET, FRAME, LINE = 2.0, 0.2, 10.0  # seconds: before the first progress, then between two frames or two lines
LOG_WIDTH, NARROW = 160, 80  # cells of a line in a log, and on most terminals


def say(console: Console, text: str) -> None:
    """Print a line unchanged: neither folded, nor coloured, nor read as markup."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def note(console: Console, text: str) -> None:
    """Print a line that belongs to the one before it, indented."""
    say(console, f"  {text}")


@contextlib.contextmanager
def step(console: Console, text: str) -> Iterator[Progress]:
    """Print what a long step does, and yield the function that the step reports its progress to."""
    began = last = time.monotonic()
    status = console.status(f"{text} …") if console.is_terminal else None

    def report(message: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - began < QUIET or now - last < (FRAME if status else LINE):
            return
        last = now
        so_far = f"{message.lower()} {done:,} of {total:,}"
        if status:
            status.update(f"{text} … {so_far}")
        else:
            say(console, f"  {so_far}")

    if status is None:
        say(console, f"{text} ...")
        yield report
    else:
        with status:
            yield report


@contextlib.contextmanager
def live_picture(console: Console, draw: Callable[[], RenderableType]) -> Iterator[bool]:
    """Redraw what `draw` returns four times a second, on a terminal; yield whether the console is one."""
    if not console.is_terminal:
        yield False
        return
    with Live(get_renderable=draw, console=console, refresh_per_second=4):
        yield True


def make_console(to_stderr: bool = False, *, width: int = LOG_WIDTH) -> Console:
    """Return the console on stdout, or on stderr where stdout is for programs; `width` is used off a terminal."""
    stream = sys.stderr if to_stderr else sys.stdout  # bound now: Tune's output is redirected later
    console = Console(file=stream)
    return console if console.is_terminal else Console(file=stream, width=width)
