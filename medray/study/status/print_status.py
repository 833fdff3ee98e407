"""Print how far a run has come."""

from rich.console import Console

from medray.console import note, say
from medray.search.time_limit import HOUR_S
from medray.study.status.run_status import Amount, RunningTraining, RunStatus
from medray.text import clock, plural

MOST_RUNNING = 8


def print_status(status: RunStatus, console: Console) -> None:
    """Print a line for each step, and one for each training that has not ended."""
    say(
        console,
        f"{status.location}: {'a command is working in it' if status.working else 'no command works in it'}",
    )
    for name, text in step_lines(status).items():
        say(console, f"  {name:9} {text}")
    for training in status.running[:MOST_RUNNING]:
        say(console, f"  {'running' if status.working else 'broken off':9} {_training(training, status.metric)}")
    if len(status.running) > MOST_RUNNING:
        note(console, f"and {len(status.running) - MOST_RUNNING} more")
    for line in status.notes:
        say(console, f"note: {line}")


def step_lines(status: RunStatus) -> dict[str, str]:
    """Return what there is of each step, by its name."""
    search = f"{_amount(status.trials, 'trial')}{'' if status.search_ended else _time(status)}"
    lines = {"search": search}
    if status.best is not None:
        objective = "" if status.best.objective is None else f"{status.best.objective:.4f}"
        lines["best"] = f"trial {status.best.trial}, val {status.metric} {objective}"
    lines["folds"] = "none" if status.folds is None else _amount(status.folds, "fold")
    lines["ensemble"] = status.ensemble or "none"
    lines["test"] = f"read {plural(status.reads, 'time')}" if status.reads else "sealed"
    lines["report"] = "written" if status.report else "none"
    return lines


def _amount(amount: Amount, noun: str) -> str:
    total = (
        plural(amount.ended, noun) if amount.total is None else f"{amount.ended} of {plural(amount.total, noun)}"
    )
    failed = f", {amount.failed} of them failed" if amount.failed else ""
    return f"{total} ended{failed}"


def _time(status: RunStatus) -> str:
    limit = "" if status.hours is None else f" of {clock(status.hours * HOUR_S)}"
    return f", {clock(status.seconds)}{limit} used" + (
        "" if status.seconds_left is None else f", about {clock(status.seconds_left)} left"
    )


def _training(training: RunningTraining, metric: str) -> str:
    fold = "" if training.fold is None else f" fold {training.fold}"
    epochs = "" if training.epochs is None else f" of {training.epochs}"
    best = "" if training.objective is None else f", best {metric} {training.objective:.4f}"
    return f"trial {training.trial}{fold}: epoch {training.epoch}{epochs}{best}"
