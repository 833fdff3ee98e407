"""Progress of a search: a live table on a terminal, one line for each ended trial elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from medray.cluster.capacity import Capacity
from medray.cluster.runners import LOCAL_LINE
from medray.cluster.step_result import StepResult
from medray.config import METRICS, TrainConfig
from medray.console import live_picture, say
from medray.console_tables import metric_caveat
from medray.data.dataset import ImageDataset
from medray.runs.leaderboard import rank, usable
from medray.runs.run_facts import ResolvedOptions
from medray.runs.trial_record import FAILED, FINISHED, STOPPED, TrialRecord
from medray.space.combinations import freezes_less
from medray.space.search_space import longer_baselines
from medray.text import first_names

if TYPE_CHECKING:
    from medray.search.ledger import Ledger

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
    """Shows every trial that the ledger reports; `trials` are to be run in all."""

    def __init__(self, console: Console, metric: str, trials: int) -> None:
        self.console, self.metric, self.trials = console, metric, trials
        self.mode = METRICS[metric]
        self.running: dict[int, RunningTrial] = {}
        self.ended: list[TrialRecord] = []
        self.before: list[TrialRecord] = []
        self.slots = 1
        self.started = time.monotonic()
        self.is_live = False

    def begin(self, before: list[TrialRecord], slots: int) -> None:
        """Take the records of trials that ended earlier, and the number of trials that run side by side."""
        self.before, self.slots = before, slots

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the live table for as long as the context lasts, where there is a terminal."""
        self.started = time.monotonic()
        with live_picture(self.console, self.table) as self.is_live:
            yield
        self.is_live = False

    # -- the ledger's observer

    def trial_started(self, number: int, baseline: str | None, config: TrainConfig) -> None:
        """Note a trial that waits for its slot."""
        self.running[number] = RunningTrial(baseline, config)

    def trial_epoch(self, number: int, result: StepResult) -> None:
        """Note an epoch."""
        trial = self.running.get(number)
        if trial is not None:
            trial.epoch, trial.objective = result.epoch, result.objective

    def trial_ended(self, record: TrialRecord) -> None:
        """Note an end, and print it as a line where there is no live table."""
        self.running.pop(record.number, None)
        self.ended.append(record)
        if self.is_live:
            return
        done = f"{len(self.ended) + len(self.before)}/{self.trials}"
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

    # -- the live table

    def table(self) -> Group:
        """Draw the live table: the running trials, then those that ended last."""
        table = Table(box=None, padding=(0, 1), header_style="bold", expand=False)
        columns = (("trial", "right"), ("state", "left"), ("epoch", "right"), (f"val {self.metric}", "right"))
        for column, justify in columns:
            table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("settings")  # the one that is cut where a terminal is narrow
        for number, trial in sorted(self.running.items()):
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
        ranked = rank(usable([*self.before, *self.ended]), self.mode)
        best = ranked[0] if ranked else None
        for record in list(reversed(self.ended))[:RECENT]:
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
        return Group(table, self._footer(best))

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
        """Estimate the time left, each running trial counted as half done; None before one has ended."""
        if not self.ended:
            return None
        done = len(self.ended) + 0.5 * min(len(self.running), self.slots)
        return (time.monotonic() - self.started) / done * max(0, self.trials - len(self.before) - len(self.ended))


def four_places(value: float | None) -> str:
    """Return a figure in four places; an empty string for None."""
    return "" if value is None else f"{value:.4f}"


def _settings_cell(baseline: str | None, text: str) -> Text:
    """Return the cell of one trial's settings or reason, which stays on one line."""
    parts = [(baseline, "bold"), f" · {text}"] if baseline else [text]
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def settings_line(settings: Mapping[str, Any]) -> str:
    """Return the most important settings of a trial, as `TrainConfig.to_dict` gives them, in one line."""
    return (
        f"{settings['backbone']} {settings['optimizer']} lr {settings['learning_rate']:.2g} "
        f"batch {settings['batch_size']} dropout {settings['dropout']:.2g} {settings['schedule']} "
        f"{settings['transforms']}"
    )


def clock(seconds: float) -> str:
    """Return seconds as 42 s, 3:05 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds:02d}"
    return f"{minutes}:{seconds:02d}" if minutes else f"{seconds} s"


def print_introduction(
    console: Console, ledger: "Ledger", resolved: ResolvedOptions, dataset: ImageDataset, capacity: Capacity | None
) -> None:
    """Print what is searched on which images, where, and what of the space the options change."""
    space, max_epochs = ledger.space, resolved.max_epochs
    train, val = len(dataset.splits["train"]), len(dataset.splits["val"])
    height, width, channels = dataset.shape
    say(
        console,
        f"{dataset.source}: {train} training and {val} validation images of {height}×{width}×{channels}, "
        f"{len(dataset.class_names)} classes; the test split is not used",
    )
    for note in dataset.notes:
        say(console, f"  {note}")
    test = dataset.at(dataset.splits["test"]).class_counts().tolist()
    missing = [name for name, count in zip(dataset.class_names, test, strict=True) if not count]
    if missing:
        say(
            console,
            f"  split 'test' has no image of {first_names(missing)}: the evaluation will have no figures of such "
            "classes, nor AUC",
        )
    say(console, f"{capacity.describe() if capacity else LOCAL_LINE}; results go to {ledger.run.location}")
    if space.budget.grace_epochs >= max_epochs:
        say(console, f"  no trial is stopped early: ASHA's first rung is at epoch {space.budget.grace_epochs}")
    if caveat := metric_caveat(space.metric):
        say(console, f"  ranked by {space.metric}: {caveat}")
    shortened = [f"{name} ({epochs})" for name, epochs in longer_baselines(space, max_epochs).items()]
    if shortened:
        say(console, f"  {max_epochs} epochs at most, though baselines ask for more: {first_names(shortened)}")
    if freezes_less(space, max_epochs):
        say(console, f"  {max_epochs} epochs leave none after freeze_epochs: half of a trial's are frozen")
    if ledger.records or ledger.unfinished:
        say(
            console,
            f"Resuming: {len(ledger.records)} trials have ended, {len(ledger.unfinished)} go on, "
            f"{ledger.left()} are left",
        )
