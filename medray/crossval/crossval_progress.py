"""Progress of a cross-validation: a live table on a terminal, one line for each ended fold elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from medray.cluster.step_result import StepResult
from medray.console import live_picture, say
from medray.crossval.jobs import Event, Job, JobEnded, JobEpoch
from medray.runs.trial_record import FAILED


class CrossvalProgress:
    """Shows the events of the queue; `total` folds are to be done, `done` were done before."""

    def __init__(self, console: Console, metric: str, total: int, done: int) -> None:
        self.console, self.metric, self.total, self.done = console, metric, total, done
        self.done_before = done
        self.running: dict[Job, StepResult | None] = {}
        self.started = time.monotonic()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live table for as long as the context lasts, where there is a terminal."""
        self.started = time.monotonic()  # not while GPUs were waited for
        with live_picture(self.console, self.table):
            yield

    def update(self, events: Sequence[Event]) -> None:
        """Take note of what has happened, and print a line for each fold that has ended."""
        for event in events:
            if not isinstance(event, JobEnded):
                self.running[event.job] = event.result if isinstance(event, JobEpoch) else None
                continue
            self.running.pop(event.job, None)
            self.done += 1
            record = event.record
            outcome = (
                f" failed: {record.reason}"
                if record.state == FAILED
                else f": {self.metric} {record.objective:.4f} at epoch {record.best_epoch} of {record.epochs} · "
                f"{record.seconds:.0f} s"
            )
            say(self.console, f"[{self.done}/{self.total}] trial {event.job.trial} fold {event.job.fold}{outcome}")

    def table(self) -> Group:
        """Draw the running folds and the time left."""
        table = Table(box=None, padding=(0, 1), header_style="bold")
        for column in ("trial", "fold", "epoch", f"best {self.metric}"):
            table.add_column(column, justify="right", no_wrap=True)
        for job, result in sorted(self.running.items(), key=lambda item: (item[0].trial, item[0].fold)):
            epoch, objective = (result.epoch, result.objective) if result else (0, None)
            table.add_row(
                str(job.trial), str(job.fold), str(epoch), "–" if objective is None else f"{objective:.4f}"
            )
        done = self.done - self.done_before
        seconds_left = (time.monotonic() - self.started) / done * (self.total - self.done) if done else None
        left = "" if seconds_left is None else f", about {seconds_left / 60:.0f} min left"
        return Group(table, Text(f"{self.done} of {self.total} folds done{left}", style="dim"))
