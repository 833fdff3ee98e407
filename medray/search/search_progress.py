"""What a person sees of a search: a live table on a terminal, one line for each ended trial elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from medray.config import METRICS, TrainConfig
from medray.console import live_picture, say
from medray.console_tables import print_table
from medray.runs.documents import FAILED, FINISHED, STOPPED, TrialRecord
from medray.runs.leaderboard import gain, rank, usable

MARKS = {FINISHED: "[green]finished[/]", STOPPED: "[yellow]stopped[/]", FAILED: "[red]failed[/]"}
RECENT = 8


@dataclass
class RunningTrial:
    """A trial that has been started and has not ended."""

    baseline: str | None
    config: TrainConfig
    epoch: int = 0
    objective: float | None = None
    started: float = field(default_factory=time.monotonic)


class SearchProgress:
    """Hears of every trial from the ledger, and shows it."""

    def __init__(self, console: Console, metric: str, trials: int, max_epochs: int) -> None:
        self.console, self.metric, self.trials, self.max_epochs = console, metric, trials, max_epochs
        self.mode = METRICS[metric]
        self.running: dict[int, RunningTrial] = {}
        self.ended: list[TrialRecord] = []
        self.before: list[TrialRecord] = []
        self.slots = 1
        self.started = time.monotonic()
        self.is_live = False

    def begin(self, before: list[TrialRecord], slots: int) -> None:
        """Take note of what an earlier driver's trials reached, and of how many run side by side."""
        self.before, self.slots = before, slots

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live table for as long as the context lasts, where there is a terminal."""
        self.started = time.monotonic()
        with live_picture(self.console, self.table) as self.is_live:
            yield
        self.is_live = False

    # -- what the ledger tells

    def trial_started(self, number: int, baseline: str | None, config: TrainConfig) -> None:
        """Note a trial that waits for its slot."""
        self.running[number] = RunningTrial(baseline, config)

    def trial_epoch(self, number: int, result: Mapping[str, Any]) -> None:
        """Note an epoch."""
        trial = self.running.get(number)
        if trial is not None and result.get("objective") is not None:
            trial.epoch, trial.objective = result["epoch"], result["objective"]

    def trial_ended(self, record: TrialRecord) -> None:
        """Note an end, as a line where there is no live table."""
        trial = self.running.pop(record.number, None)
        self.ended.append(record)
        if not self.is_live:
            say(self.console, self._line(record, trial))

    # -- how it looks

    def _line(self, record: TrialRecord, trial: RunningTrial | None) -> str:
        name = f" ({record.baseline})" if record.baseline else ""
        if record.state == FAILED or record.objective is None:
            what = record.reason or ""
        else:
            what = f"val {self.metric} {record.objective:.4f} at epoch {record.best_epoch} of {record.epochs}"
        settings = f" · {summary(trial.config)}" if trial else ""
        done = f"{len(self.ended) + len(self.before)}/{self.trials}"
        text = f"trial {record.number}{name} {record.state}: {what} · {record.seconds:.0f} s{settings}"
        return f"[{done}] {text}"

    def table(self) -> Group:
        """Draw the live table: the running trials, then those that ended last."""
        table = Table(box=None, padding=(0, 1), header_style="bold", expand=False)
        columns = (("trial", "right"), ("state", "left"), ("epoch", "right"), (f"val {self.metric}", "right"))
        for column, justify in columns:
            table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("settings")  # the one that is cut where a terminal is narrow
        for number, trial in sorted(self.running.items()):
            state = "[cyan]running[/]" if trial.epoch else "[dim]waiting[/]"
            value = _four_places(trial.objective)
            epochs = f"{trial.epoch}/{trial.config.epochs}"
            table.add_row(str(number), state, epochs, value, _named(trial.baseline, summary(trial.config)))
        best = self._best()
        for record in list(reversed(self.ended))[:RECENT]:
            value = _four_places(record.objective)
            value = f"[bold green]{value}[/]" if best and record.number == best.number else value
            text = record.reason if record.state == FAILED else summary_of(record.settings)
            table.add_row(
                str(record.number),
                MARKS[record.state],
                str(record.epochs),
                value,
                _named(record.baseline, text or ""),
            )
        return Group(table, self._footer(best))

    def _best(self) -> TrialRecord | None:
        ranked = rank(usable([*self.before, *self.ended]), self.mode)
        return ranked[0] if ranked else None

    def _footer(self, best: TrialRecord | None) -> Text:
        done = len(self.ended) + len(self.before)
        parts = [f"{done}/{self.trials} trials"]
        for state in (FINISHED, STOPPED, FAILED):
            count = sum(r.state == state for r in (*self.before, *self.ended))
            if count:
                parts.append(f"{count} {state}")
        if best is not None:
            parts.append(f"best val {self.metric} {best.objective:.4f} (trial {best.number})")
        parts.append(f"{clock(time.monotonic() - self.started)} elapsed")
        left = self.seconds_left()
        if left is not None:
            parts.append(f"about {clock(left)} left")
        return Text(" · ".join(parts), style="bold")

    def seconds_left(self) -> float | None:
        """Guess the time left from the time an ended trial took; None before one has ended."""
        if not self.ended:
            return None
        pace = (time.monotonic() - self.started) / (len(self.ended) + 0.5 * min(len(self.running), self.slots))
        return pace * max(0, self.trials - len(self.before) - len(self.ended))


def _four_places(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _named(baseline: str | None, text: str) -> Text:
    """Return the cell of one trial's settings or reason, which stays on one line."""
    parts = [(baseline, "bold"), f" · {text}"] if baseline else [text]
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def summary(config: TrainConfig) -> str:
    """The settings that a person looks at first, in one line."""
    return summary_of(config.to_dict())


def summary_of(settings: Mapping[str, Any]) -> str:
    """The same of plain settings."""
    return (
        f"{settings['backbone']} {settings['optimizer']} lr {settings['learning_rate']:.2g} "
        f"batch {settings['batch_size']} dropout {settings['dropout']:.2g} {settings['schedule']} "
        f"{settings['transforms']}"
    )


def clock(seconds: float) -> str:
    """Seconds as 42 s, 3:05 or 1:02:03."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def print_leaderboard(records: list[TrialRecord], metric: str, console: Console, limit: int = 10) -> None:
    """Print the first rows of the leaderboard."""
    second = "accuracy" if metric != "accuracy" else "auc"
    ranked = rank(usable(records), METRICS[metric])[:limit]
    columns = [
        ("trial", [str(r.number) for r in ranked]),
        ("state", [r.state for r in ranked]),
        ("epochs", [str(r.epochs) for r in ranked]),
        (f"val {metric}", [_four_places(r.objective) for r in ranked]),
        (f"val {second}", [_four_places(r.metrics.get(second)) for r in ranked]),
    ]
    settings = [" · ".join(filter(None, (r.baseline, summary_of(r.settings)))) for r in ranked]
    ranks = [str(position) for position in range(1, len(ranked) + 1)]
    print_table(console, f"Leaderboard, by {metric} on validation", ranks, columns, "rank", settings)


def gain_line(records: list[TrialRecord], metric: str, images: int) -> str | None:
    """What the search gained over the best baseline, with the size of what it was measured on."""
    found = gain(records, METRICS[metric])
    if found is None:
        return None
    verb = "gained" if found.difference > 0 else "lost" if found.difference < 0 else "neither gained nor lost"
    monitor = found.baseline.settings.get("monitor", metric)
    why = "" if monitor == metric else f"; part of a gain is that the baseline's epoch was chosen by {monitor}"
    return (
        f"Over the best baseline ({found.baseline.baseline}, {found.baseline.objective:.4f}) the search {verb} "
        f"{abs(found.difference):.4f} {metric} on {images} validation images{why}."
    )
