"""The console: lines that are not folded, and the progress of long steps."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from medray._types import Progress
from medray.notebook import REDRAWN_EVERY, CellPicture, NotebookConsole, redrawn
from medray.text import clock

QUIET, FRAME, LINE = 2.0, 0.2, 10.0  # seconds: before the first progress, then between two frames or two lines
HEARTBEAT = 60.0  # seconds: the longest silence in a log
LOG_WIDTH, NARROW = 160, 80  # cells of a line in a log, and on most terminals


def say(console: Console, text: str) -> None:
    """Print a line unchanged: neither folded, nor coloured, nor read as markup."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def note(console: Console, text: str) -> None:
    """Print a line that belongs to the one before it, indented."""
    say(console, f"  {text}")


class Heartbeat:
    """Prints `line()` in a log wherever nothing was printed for `every` seconds of `now`; a context manager.

    A thread does, like the one that draws on a terminal: an epoch or a download may be long, and reports nothing.
    """

    def __init__(
        self, console: Console, line: Callable[[], str], every: float = HEARTBEAT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.console, self.line, self.every, self.now = console, line, every, now
        self.last = now()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self.spoke()
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()

    def spoke(self) -> None:
        """Note that another line was printed: the next is due `every` seconds from now."""
        self.last = self.now()

    def tick(self) -> float:
        """Print the line if it is due, and return the seconds until the next one is."""
        if self.now() - self.last >= self.every:
            note(self.console, self.line())
            self.spoke()
        return max(0.0, self.every - (self.now() - self.last))

    def _run(self) -> None:
        while not self.ended.wait(self.tick()):
            pass


@contextlib.contextmanager
def step(console: Console, text: str, every: float = HEARTBEAT) -> Iterator[Progress]:
    """Print what a long step does, and yield the function that the step reports its progress to.

    On a terminal, and in a notebook, one line changes; elsewhere a line is printed at least every `every` seconds.
    """
    began = last = time.monotonic()
    so_far = ""

    def line() -> str:
        return f"{text}: {so_far}{' after ' if so_far else ''}{clock(time.monotonic() - began)}"

    status = console.status(f"{text} …") if console.is_terminal else None
    picture = CellPicture() if isinstance(console, NotebookConsole) else None
    frame = FRAME if status else REDRAWN_EVERY if picture else LINE
    beat = Heartbeat(console, line, every)

    def report(message: str, done: int, total: int) -> None:
        nonlocal last, so_far
        so_far = f"{message.lower()} {done:,} of {total:,}"
        now = time.monotonic()
        if now - began < QUIET or now - last < frame:
            return
        last = now
        if status:
            status.update(f"{text} … {so_far}")
        elif picture:
            picture.show(Text(line()))
            beat.spoke()
        else:
            note(console, so_far)
            beat.spoke()

    if status is None:
        say(console, f"{text} ...")
    with status or beat:
        yield report
    if picture and picture.is_shown:
        picture.show(Text(line()))


@contextlib.contextmanager
def live_picture(
    console: Console, draw: Callable[[], RenderableType], line: Callable[[], str]
) -> Iterator[Heartbeat | None]:
    """Redraw what `draw` returns on a terminal or in a notebook; elsewhere print `line()` once a minute.

    Yields the heartbeat that prints the line, None where it is redrawn.
    """
    if console.is_terminal:
        with Live(get_renderable=draw, console=console, refresh_per_second=4):
            yield None
    elif isinstance(console, NotebookConsole):
        with redrawn(draw):
            yield None
    else:
        with Heartbeat(console, line) as beat:
            yield beat


def make_console(to_stderr: bool = False, *, width: int = LOG_WIDTH) -> Console:
    """Return the console on stdout, or on stderr where stdout is for programs; `width` is used off a terminal."""
    stream = sys.stderr if to_stderr else sys.stdout  # bound now: Tune's output is redirected later
    console = Console(file=stream)
    if console.is_jupyter:
        return NotebookConsole(stream)
    return console if console.is_terminal else Console(file=stream, width=width)
