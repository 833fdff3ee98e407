"""Progress of a search: a live table on a terminal, one line for each ended trial elsewhere."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from medray.cluster.step_result import StepResult
from medray.config import LBFGS, TrainConfig
from medray.console import Heartbeat, live_picture, say
from medray.runs.leaderboard import rank, usable
from medray.runs.trial_record import FAILED, FINISHED, STOPPED, TrialRecord
from medray.search.time_limit import TimeLimit
from medray.stats.score_names import METRICS
from medray.text import clock, first_names, plural

MARKS = {FINISHED: "[green]finished[/]", STOPPED: "[yellow]stopped[/]", FAILED: "[red]failed[/]"}
RECENT, MOST_RUNNING = 8, 24  # rows of the table


@dataclass
class RunningTrial:
    """A trial that has been started and has not ended; an earlier command did `epochs_before` of its epochs."""

    baseline: str | None
    config: TrainConfig
    epoch: int = 0
    epochs_before: int = 0
    objective: float | None = None
    started: float = field(default_factory=time.monotonic)


class SearchProgress:
    """Shows every trial that the ledger reports, of `trials` in all; `title` names one of several searches.

    `trials` is None where only the time of `limit` bounds them.
    """

    def __init__(
        self, console: Console, metric: str, trials: int | None, title: str = "", limit: TimeLimit | None = None
    ) -> None:
        self.console, self.metric, self.trials, self.title = console, metric, trials, title
        self.limit = limit or TimeLimit()
        self.mode = METRICS[metric]
        self.running: dict[int, RunningTrial] = {}
        self.ended: list[TrialRecord] = []
        self.before: list[TrialRecord] = []
        #: Of both: how many ended in each state, their epochs, and the best of them.
        self.states: Counter[str] = Counter()
        self.epochs = 0
        self.best: TrialRecord | None = None
        self.slots = 1
        self.started = time.monotonic()
        self.is_live = False
        self.heartbeat: Heartbeat | None = None

    def begin(self, before: list[TrialRecord], slots: int) -> None:
        """Take the records of trials that ended earlier, and the number of trials that run side by side."""
        self.before, self.slots = before, slots
        for record in before:
            self._count_in(record)

    def _count_in(self, record: TrialRecord) -> None:
        """Keep what the table and the line show of all trials: it is drawn four times a second."""
        self.states[record.state] += 1
        self.epochs += record.epochs
        candidates = usable([record] if self.best is None else [self.best, record])
        self.best = rank(candidates, self.mode)[0] if candidates else None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live table while the context lasts, or without a terminal a line at least once a minute."""
        self.started = time.monotonic()
        with live_picture(self.console, self.table, self.line) as self.heartbeat:
            self.is_live = self.heartbeat is None
            yield
        self.is_live, self.heartbeat = False, None

    # -- the ledger's observer

    def trial_started(self, number: int, baseline: str | None, config: TrainConfig) -> None:
        """Note a trial that waits for its slot."""
        self.running[number] = RunningTrial(baseline, config)

    def trial_epoch(self, number: int, result: StepResult) -> None:
        """Note an epoch."""
        trial = self.running.get(number)
        if trial is not None:
            if not trial.epoch:
                trial.epochs_before = result.epoch - 1
            trial.epoch, trial.objective = result.epoch, result.objective

    def trial_waits(self, number: int) -> None:
        """Note that a trial that has started is to start again later."""
        self.running.pop(number, None)

    def trial_ended(self, record: TrialRecord) -> None:
        """Note an end, and print it as a line where there is no live table."""
        self.running.pop(record.number, None)
        self.ended.append(record)
        self._count_in(record)
        if self.is_live:
            return
        done = self._count()
        name = f" ({record.baseline})" if record.baseline else ""
        if record.state == FAILED or record.objective is None:
            outcome = record.reason or ""
        else:
            outcome = f"val {self.metric} {record.objective:.4f} at epoch {record.best_epoch} of {record.epochs}"
        say(
            self.console,
            f"[{done}] trial {record.number}{name} {record.state}: {outcome} · {record.seconds:.0f} s · "
            f"{settings_line(record.settings)}",
        )
        if self.heartbeat is not None:
            self.heartbeat.spoke()

    # -- how far it is

    def line(self) -> str:
        """Return one line for logs: trials, epochs, the best so far, the time left, and what is running."""
        running = list(self.running.items())  # at once: another thread adds to it
        epochs = plural(self.epochs + sum(trial.epoch for _, trial in running), "epoch")
        trials = first_names([f"trial {n} epoch {t.epoch} of {t.config.epochs}" for n, t in running], 6)
        parts = [*self._parts(epochs), *([f"running: {trials}"] if running else [])]
        return f"{self.title}{': ' if self.title else ''}{' · '.join(parts)}"

    def table(self) -> Group:
        """Draw the live table: the running trials, then those that ended last."""
        table = Table(box=None, padding=(0, 1), header_style="bold", expand=False)
        columns = (("trial", "right"), ("state", "left"), ("epoch", "right"), (f"val {self.metric}", "right"))
        for column, justify in columns:
            table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("settings")  # the one that is cut where a terminal is narrow
        running = sorted(self.running.items())
        for number, trial in running[:MOST_RUNNING]:
            state = "[cyan]running[/]" if trial.epoch else "[dim]waiting[/]"
            value = four_places(trial.objective)
            epochs = f"{trial.epoch}/{trial.config.epochs}"
            table.add_row(
                str(number),
                state,
                epochs,
                value,
                _settings_cell(trial.baseline, settings_line(trial.config.to_dict())),
            )
        if len(running) > MOST_RUNNING:
            table.add_row("…", f"[dim]{len(running) - MOST_RUNNING} more[/]")
        best = self.best
        for record in self.ended[: -RECENT - 1 : -1]:
            value = four_places(record.objective)
            value = f"[bold green]{value}[/]" if best and record.number == best.number else value
            text = record.reason if record.state == FAILED else settings_line(record.settings)
            table.add_row(
                str(record.number),
                MARKS[record.state],
                str(record.epochs),
                value,
                _settings_cell(record.baseline, text or ""),
            )
        return Group(table, Text(" · ".join(self._parts()), style="bold"))

    def _parts(self, epochs: str = "") -> list[str]:
        """Return what the footer and the line say; before a trial has ended, the best is of one that runs."""
        parts = [f"{self._count()} trials"]
        parts += [f"{self.states[state]} {state}" for state in (FINISHED, STOPPED, FAILED) if self.states[state]]
        if epochs:
            parts.append(epochs)
        sign = 1 if self.mode == "max" else -1
        values = [(t.objective, n) for n, t in list(self.running.items()) if t.objective is not None]
        if self.best is not None:
            parts.append(f"best val {self.metric} {self.best.objective:.4f} (trial {self.best.number})")
        elif values:
            value, number = max(values, key=lambda pair: sign * pair[0])
            parts.append(f"best val {self.metric} {value:.4f} so far (trial {number})")
        parts.append(f"{clock(time.monotonic() - self.started)} elapsed")
        left = self.seconds_left()
        if left is not None:
            parts.append(f"about {clock(left)} left")
        return parts

    def _count(self) -> str:
        ended = len(self.ended) + len(self.before)
        return str(ended) if self.trials is None else f"{ended}/{self.trials}"

    def seconds_left(self) -> float | None:
        """Estimate the time left by how many trials, and parts of one, were done so far; None before an epoch was.

        A trial counts with all its epochs: stopped early, it takes less. It is no more than the limit's.
        """
        left, limit = self._seconds_for_trials(), max(0.0, self.limit.left())
        if left is None:
            return None if math.isinf(limit) else limit
        return min(left, limit)

    def _seconds_for_trials(self) -> float | None:
        if self.trials is None:
            return None
        running = list(self.running.values())
        done = len(self.ended) + sum((t.epoch - t.epochs_before) / t.config.epochs for t in running)
        if not done:
            return None
        ended = len(self.before) + len(self.ended)
        left = self.trials - ended - sum(t.epoch / t.config.epochs for t in running)
        return (time.monotonic() - self.started) / done * max(0.0, left)


def four_places(value: float | None) -> str:
    """Return a figure in four places; an empty string for None."""
    return "" if value is None else f"{value:.4f}"


def _settings_cell(baseline: str | None, text: str) -> Text:
    """Return the cell of one trial's settings or reason, which stays on one line."""
    parts = [(baseline, "bold"), f" · {text}"] if baseline else [text]
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def settings_line(settings: Mapping[str, Any]) -> str:
    """Return the most important settings of a trial, as `TrainConfig.to_dict` gives them, in one line.

    The loss is among them where it is not cross entropy, the size where it is not the data set's own.
    """
    size = "" if settings["image_size"] is None else f" {settings['image_size']} px"
    loss = "" if settings["loss"] == "cross_entropy" else f" {settings['loss']}"
    if settings["optimizer"] == LBFGS:
        head = f"linear head on {settings['pooling']}, weight_decay {settings['weight_decay']:.2g}"
        return f"{settings['backbone']}{size}{loss} {head} {settings['transforms']}"
    return (
        f"{settings['backbone']}{size}{loss} {settings['optimizer']} lr {settings['learning_rate']:.2g} "
        f"batch {settings['batch_size']} dropout {settings['dropout']:.2g} {settings['schedule']} "
        f"{settings['transforms']}"
    )
