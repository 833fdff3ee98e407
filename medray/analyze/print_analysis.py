"""Print the tables of `medray analyze` on a terminal."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from medray.analyze.frame_view import varied
from medray.analyze.importance import CLEAR, HIGH, LOW
from medray.analyze.summary import Summary
from medray.analyze.times import TimeSpent
from medray.console import say
from medray.console_tables import interval, number, print_table
from medray.stats.score_names import METRICS

if TYPE_CHECKING:
    import pandas as pd

MAX_STOPPED = 10
LEADING = ("run", "rank", "state", "baseline", "objective", "accuracy", "best_epoch", "epochs", "seconds")


def print_analysis(
    summaries: Sequence[Summary], leaderboard: "pd.DataFrame", console: Console, *, all_columns: bool,
    top: int | None,
) -> None:  # fmt: skip
    """Print the leaderboard, then the other tables run by run.

    Unless `all_columns`, the leaderboard has the leading columns and the settings in which trials differ.
    """
    for summary in summaries:
        say(console, f"{summary.name}: {summary.trials_line}, by {summary.metric} on validation images")
        for note in summary.notes:
            say(console, f"  note: {note}")
    if len({summary.data for summary in summaries}) > 1:
        say(console, "These runs saw different data: their figures can't be compared.")
    if len(summaries) > 1:
        _print_side_by_side(summaries, console)
    metrics = {summary.metric for summary in summaries}
    objective = summaries[0].metric if len(metrics) == 1 else "objective"
    title = "Leaderboard" if all_columns else f"Leaderboard, by {objective} on validation"
    if not all_columns:
        leading = [name for name in LEADING if name in leaderboard and leaderboard[name].notna().any()]
        leaderboard = leaderboard[["trial", *leading, *varied(leaderboard)]]
    _print_leaderboard(leaderboard, console, title, objective, top)
    for summary in summaries:
        if len(summaries) > 1:
            console.print()
            console.rule(summary.name, align="left")
        _print_baselines(summary, console)
        _print_stopped(summary, console)
        _print_importance(summary, console)
        if summary.failures:
            columns = [("failed", [str(len(group.trainings)) for group in summary.failures])]
            labels = ["trial " + ", ".join(group.trainings) for group in summary.failures]
            print_table(console, "Failures", labels, columns, "", [group.reason for group in summary.failures])
        _print_time(summary, console)
    console.print()
    for summary in summaries:
        say(console, f"As a page, with figures: medray report {shlex.quote(summary.location)}")


def _print_side_by_side(summaries: Sequence[Summary], console: Console) -> None:
    entries = [summary.baselines.entries if summary.baselines else () for summary in summaries]
    columns = [
        ("metric", [summary.metric for summary in summaries]),
        ("best baseline", [number(row[0].objective if row else None) for row in entries]),
        ("best searched", [number(row[1].objective if row else None) for row in entries]),
        ("better by", [interval(row[1], sign=True) if row else "–" for row in entries]),
        ("trials trained", [duration(summary.stopped.seconds_trained) for summary in summaries]),
        ("ASHA saved", [f"≤ {duration(summary.stopped.seconds_saved)}" for summary in summaries]),
    ]
    print_table(console, "Side by side", [summary.name for summary in summaries], columns, "run")


def _print_leaderboard(
    frame: "pd.DataFrame", console: Console, title: str, objective: str, top: int | None
) -> None:
    rows = frame.head(top) if top else frame
    if rows.empty:
        console.print()
        say(console, "Leaderboard: no trial is to be shown")
        return
    names = [str(name) for name in rows.columns]
    label = "trial" if "trial" in names else names[0]
    labels = [cell(label, value) for value in rows[label]]
    if label == "trial" and "run" in names:
        names.remove("run")
        labels = [f"{run} {trial}" for run, trial in zip(rows["run"], labels, strict=True)]
    columns = [
        (objective if name == "objective" else name, [cell(name, value) for value in rows[name]])
        for name in names
        if name != label
    ]
    print_table(console, title, labels, columns, label)
    if len(frame) > len(rows):
        say(console, f"  {len(frame) - len(rows)} more: --top {len(frame)}")


def cell(name: str, value: Any) -> str:
    """Return a value of the column `name` as people read it, a dash where it is missing."""
    import pandas as pd

    if value is pd.NA or value is None or value != value:
        return "–"
    if isinstance(value, float):
        if name == "seconds":
            return duration(value)
        return f"{value:.4f}" if name in METRICS or name == "objective" else f"{value:.3g}"
    return str(value)


def duration(seconds: float) -> str:
    """Return seconds as 3.2 s, 4 min 10 s or 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _print_baselines(summary: Summary, console: Console) -> None:
    comparison = summary.baselines
    if comparison is None:
        return
    entries = comparison.entries
    images = f" on {comparison.images} validation images" if comparison.images else ""
    columns = [
        (summary.metric, [f"{entry.objective:.4f}" for entry in entries]),
        ("better by (95 % interval)", [interval(entry, sign=True) for entry in entries]),
        ("trials", [", ".join(map(str, entry.trials)) for entry in entries]),
    ]
    print_table(console, f"Baselines against the search{images}", [entry.name for entry in entries], columns)
    if comparison.no_interval:
        say(console, f"  no difference without its interval: {comparison.no_interval}")
    say(console, "  selected on these same images: expect less of a difference on new ones")
    if comparison.baseline_monitor:
        monitor = f"the baseline's epoch was selected by {comparison.baseline_monitor}, not by {summary.metric}"
        say(console, f"  part of it: {monitor}")


def _print_stopped(summary: Summary, console: Console) -> None:
    saved = summary.stopped
    if not saved.trials:
        return
    trials = sorted(saved.trials, key=lambda trial: -trial.seconds_saved)[:MAX_STOPPED]
    columns = [
        ("stopped at", [f"{trial.epochs} of {trial.of_epochs}" for trial in trials]),
        (summary.metric, [number(trial.objective) for trial in trials]),
        ("an epoch", [duration(trial.seconds_per_epoch) for trial in trials]),
        ("saved", [f"≤ {duration(trial.seconds_saved)}" for trial in trials]),
    ]
    print_table(console, "What ASHA stopped", [str(trial.trial) for trial in trials], columns, "trial")
    if len(saved.trials) > len(trials):
        say(console, f"  {len(saved.trials) - len(trials)} more")
    say(
        console,
        f"  {len(saved.trials)} trials stopped: {saved.epochs_saved} epochs were not trained, beside "
        f"{saved.epochs_trained} that were; at most {duration(saved.seconds_saved)} saved, beside "
        f"{duration(saved.seconds_trained)}: an estimate by each trial's own seconds an epoch",
    )


def _print_importance(summary: Summary, console: Console) -> None:
    importances = summary.importance
    if importances.why_not:
        console.print()
        say(
            console,
            f"Importance of settings: {'; '.join(filter(None, (importances.why_not, importances.left_out)))}",
        )
        return
    rows = importances.rows
    columns = [
        ("importance", [number(row.value) for row in rows]),
        (f"{LOW}–{HIGH} %", ["" if row.low is None else f"{number(row.low)}–{number(row.high)}" for row in rows]),
        ("p", ["" if row.p is None else f"{row.p:.3f}" for row in rows]),
        ("trials", [str(row.among) for row in rows]),
    ]
    notes = []
    for row in rows:
        too_few = f"{row.among} trials are too few" if row.value is None else ""
        notes.append("; ".join(filter(None, (f"under {row.when}" if row.when else "", too_few))))
    title = f"Importance of settings: fANOVA over {importances.finished} finished trials"
    print_table(console, title, [row.parameter for row in rows], columns, "setting", notes)
    say(console, "  share of the variance that a setting explains alone, and its spread over resampled trials")
    say(console, "  p: the chance that noise alone has any setting explain as much (objectives shuffled)")
    if importances.left_out:
        say(console, f"  {importances.left_out}")
    if not importances.any_clear:
        say(console, f"  no p is {CLEAR} or less: these trials can't tell which setting mattered")


def time_rows(time: TimeSpent) -> list[list[str]]:
    """Return a row for each kind of training: kind, trainings, epochs, time, and share of all."""
    total = sum(spent.seconds for spent in time.spent) or 1.0
    return [
        [
            spent.kind, str(spent.trainings), str(spent.epochs), duration(spent.seconds),
            f"{100 * spent.seconds / total:.0f} %",
        ]
        for spent in time.spent
    ]  # fmt: skip


def _print_time(summary: Summary, console: Console) -> None:
    time, rows = summary.time, time_rows(summary.time)
    if not rows:
        return
    kinds, *cells = map(list, zip(*rows, strict=True))
    columns = list(zip(("trainings", "epochs", "time", "share"), cells, strict=True))
    print_table(console, "Where the time went: epochs, with their validation", kinds, columns)
    if time.wall_seconds is not None:
        parallel = "" if time.at_once is None else f", {time.at_once:.1f} trials at once on average"
        wall = duration(time.wall_seconds)
        say(console, f"  {wall} from the first trial's start to the last one's end{parallel}")
    if time.beside_epochs is not None:
        say(
            console,
            f"  beside its epochs a trial spent {duration(time.beside_epochs)} (median) on waiting for its slot, "
            "starting and writing; how long Ray took to start is not known",
        )
    if time.resumed:
        times = "once" if time.resumed == 1 else f"{time.resumed} times"
        say(console, f"  the search was resumed {times}: the breaks are part of this")
