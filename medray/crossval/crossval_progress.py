"""What a person sees of a cross-validation: a live table on a terminal, one line for each ended fold elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from medray.console import live_picture, say
from medray.crossval.jobs import Event, Job
from medray.runs.documents import FAILED


class CrossvalProgress:
    """Hears of every fold from the queue, and shows it."""

    def __init__(self, console: Console, metric: str, total: int, done: int) -> None:
        self.console, self.metric, self.total, self.done = console, metric, total, done
        self.first_done = done
        self.running: dict[Job, dict[str, Any]] = {}
        self.started = time.monotonic()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live table for as long as the context lasts, where there is a terminal."""
        with live_picture(self.console, self.table):
            yield

    def hear(self, events: Sequence[Event]) -> None:
        """Take note of what has happened."""
        for event in events:
            if event.kind == "ended":
                self.running.pop(event.job, None)
                self.done += 1
                say(self.console, f"[{self.done}/{self.total}] {self._line(event)}")
            else:
                self.running[event.job] = event.told

    def _line(self, event: Event) -> str:
        job, told = event.job, event.told
        name = f"trial {job.trial} fold {job.fold}"
        if told["state"] == FAILED:
            return f"{name} failed: {told['reason']}"
        value, best, epochs = told["objective"], told["best_epoch"], told["epochs"]
        return f"{name}: {self.metric} {value:.4f} at epoch {best} of {epochs} · {told['seconds']:.0f} s"

    def table(self) -> Group:
        """Draw the running folds and the time left."""
        table = Table(box=None, padding=(0, 1), header_style="bold")
        for column in ("trial", "fold", "epoch", f"best {self.metric}"):
            table.add_column(column, justify="right", no_wrap=True)
        for job, told in sorted(self.running.items(), key=lambda item: (item[0].trial, item[0].fold)):
            value = told.get("objective")
            shown = "–" if value is None else f"{value:.4f}"
            table.add_row(str(job.trial), str(job.fold), str(told.get("epoch", 0)), shown)
        return Group(table, Text(self._footer(), style="dim"))

    def _footer(self) -> str:
        spent = time.monotonic() - self.started
        done = self.done - self.first_done
        left = f", about {spent / done * (self.total - self.done) / 60:.0f} min left" if done else ""
        return f"{self.done} of {self.total} folds done{left}"
