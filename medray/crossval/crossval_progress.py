"""Progress of a cross-validation: a live table on a terminal, one line for each ended fold elsewhere."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from medray.cluster.step_result import StepResult
from medray.console import Heartbeat, live_picture, say
from medray.crossval.jobs import Event, Job, JobEnded, JobEpoch
from medray.runs.trial_record import FAILED
from medray.text import clock, first_names, plural


class CrossvalProgress:
    """Shows the events of the queue; `total` folds are to be done, `done` were done before.

    `epochs` are those that each trial took in the search: about as many are expected of its folds.
    """

    def __init__(
        self, console: Console, metric: str, total: int, done: int, epochs: Mapping[int, int] | None = None
    ) -> None:
        self.console, self.metric, self.total, self.done = console, metric, total, done
        self.done_before, self.expected_epochs = done, epochs or {}
        self.running: dict[Job, StepResult | None] = {}
        self.epochs_ended = 0
        self.started = time.monotonic()
        self.heartbeat: Heartbeat | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live table while the context lasts, or without a terminal a line at least once a minute."""
        self.started = time.monotonic()  # not while GPUs were waited for
        with live_picture(self.console, self.table, self.line) as self.heartbeat:
            yield
        self.heartbeat = None

    def update(self, events: Sequence[Event]) -> None:
        """Take note of what has happened, and print a line for each fold that has ended."""
        for event in events:
            if not isinstance(event, JobEnded):
                self.running[event.job] = event.result if isinstance(event, JobEpoch) else None
                continue
            self.running.pop(event.job, None)
            self.done += 1
            record = event.record
            self.epochs_ended += record.epochs
            outcome = (
                f" failed: {record.reason}"
                if record.state == FAILED
                else f": {self.metric} {record.objective:.4f} at epoch {record.best_epoch} of {record.epochs} · "
                f"{record.seconds:.0f} s"
            )
            say(self.console, f"[{self.done}/{self.total}] trial {event.job.trial} fold {event.job.fold}{outcome}")
            if self.heartbeat is not None:
                self.heartbeat.spoke()

    def line(self) -> str:
        """Return one line for logs: folds, epochs, what is running and how good it is, and the time left."""
        running = list(self.running.items())  # at once: another thread adds to it
        epochs = self.epochs_ended + sum(result.epoch for _, result in running if result)
        parts = [f"{self.done}/{self.total} folds", plural(epochs, "epoch")]
        if running:
            parts.append(f"running: {first_names([self._running_line(*item) for item in running], 6)}")
        parts.append(f"{clock(time.monotonic() - self.started)} elapsed")
        left = self.seconds_left()
        return " · ".join([*parts, *([] if left is None else [f"about {clock(left)} left"])])

    def _running_line(self, job: Job, result: StepResult | None) -> str:
        epoch, objective = (result.epoch, result.objective) if result else (0, None)
        best = "" if objective is None else f" (best {self.metric} {objective:.4f})"
        return f"trial {job.trial} fold {job.fold} epoch {epoch}{best}"

    def seconds_left(self) -> float | None:
        """Estimate the time left by how many folds, and parts of one, are done; None before an epoch is."""
        parts = sum(
            min(1.0, result.epoch / self.expected_epochs[job.trial])
            for job, result in list(self.running.items())
            if result and self.expected_epochs.get(job.trial)
        )
        done = self.done - self.done_before + parts
        if not done:
            return None
        return (time.monotonic() - self.started) / done * max(0.0, self.total - self.done - parts)

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
        seconds_left = self.seconds_left()
        left = "" if seconds_left is None else f", about {clock(seconds_left)} left"
        return Group(table, Text(f"{self.done} of {self.total} folds done{left}", style="dim"))
