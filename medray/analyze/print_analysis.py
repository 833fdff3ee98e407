"""The tables of `medray analyze` on a terminal."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from medray.analyze.importance import HIGH, LOW, Importances
from medray.analyze.summary import Summary
from medray.analyze.view import varied
from medray.config import METRICS
from medray.console import say
from medray.console_tables import number, print_table

if TYPE_CHECKING:
    import pandas as pd

MOST_STOPPED = 10
CLEAR = 0.05  # an importance whose interval begins below it may be none
_LEADING = ("run", "rank", "state", "baseline", "objective", "accuracy", "best_epoch", "epochs", "seconds")


def print_report(
    summaries: Sequence[Summary], board: "pd.DataFrame", console: Console, *, chosen: bool, top: int | None
) -> None:
    """Print the leaderboard, then the other tables run by run; `chosen` says that its columns were asked for."""
    for summary in summaries:
        say(console, _head(summary))
        for note in summary.notes:
            say(console, f"  note: {note}")
    if len({summary.data for summary in summaries}) > 1:
        say(console, "These runs saw different data: their figures can't be compared.")
    if len(summaries) > 1:
        _side_by_side(summaries, console)
    _leaderboard(summaries, board if chosen else _without_empty(board), console, chosen=chosen, top=top)
    for summary in summaries:
        if len(summaries) > 1:
            console.print()
            console.rule(summary.name, align="left")
        for part in (_baselines, _stopped, _importance, _failures, _time):
            part(summary, console)
    console.print()
    for summary in summaries:
        say(console, f"As a page, with figures: medray report {shlex.quote(summary.location)}")


def _head(s: Summary) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in s.states.items() if count) or "none yet"
    total = sum(s.states.values())
    of = f" of {s.planned}" if s.planned and s.planned != total else ""
    return f"{s.name}: {total}{of} trials ({counts}), by {s.metric} on validation images"


def _side_by_side(summaries: Sequence[Summary], console: Console) -> None:
    contests = [s.baselines.contestants if s.baselines else () for s in summaries]
    found = [(c[0].objective, c[1].objective, c[1].difference) if c else (None, None, None) for c in contests]
    columns = [
        ("metric", [s.metric for s in summaries]),
        ("best baseline", [number(base) for base, _, _ in found]),
        ("best searched", [number(best) for _, best, _ in found]),
        ("better by", [number(difference, sign=True) for _, _, difference in found]),
        ("trials trained", [duration(s.stopped.seconds_trained) for s in summaries]),
        ("ASHA saved", [f"≤ {duration(s.stopped.seconds_saved)}" for s in summaries]),
    ]
    print_table(console, "Side by side", [s.name for s in summaries], columns, "run")


def _leaderboard(
    summaries: Sequence[Summary], board: "pd.DataFrame", console: Console, *, chosen: bool, top: int | None
) -> None:
    rows = board.head(top) if top else board
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
    objective = summaries[0].metric if len({s.metric for s in summaries}) == 1 else "objective"
    columns = [
        (objective if name == "objective" else name, [cell(name, value) for value in rows[name]])
        for name in names
        if name != label
    ]
    title = "Leaderboard" if chosen else f"Leaderboard, by {objective} on validation"
    print_table(console, title, labels, columns, label)
    if len(board) > len(rows):
        say(console, f"  {len(board) - len(rows)} more: --top {len(board)}")


def _without_empty(board: "pd.DataFrame") -> "pd.DataFrame":
    """The columns that people look at first, and the settings in which the trials differ."""
    leading = [name for name in _LEADING if name in board and board[name].notna().any()]
    return board[["trial", *leading, *varied(board)]]


def cell(name: str, value: Any) -> str:
    """A value as people read it, a dash where it is missing."""
    import pandas as pd

    if value is pd.NA or value is None or value != value:
        return "–"
    if isinstance(value, float):
        if name == "seconds":
            return duration(value)
        return f"{value:.4f}" if name in METRICS or name == "objective" else f"{value:.3g}"
    return str(value)


def duration(seconds: float) -> str:
    """Seconds as 3.2 s, 4 min 10 s or 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _baselines(s: Summary, console: Console) -> None:
    found = s.baselines
    if found is None:
        return
    images = f" on {found.images} validation images" if found.images else ""
    columns = [
        (s.metric, [f"{c.objective:.4f}" for c in found.contestants]),
        ("better by", ["–" if c.difference is None else f"{c.difference:+.4f}" for c in found.contestants]),
        ("trials", [", ".join(map(str, c.trials)) for c in found.contestants]),
    ]
    print_table(console, f"Baselines against the search{images}", [c.name for c in found.contestants], columns)
    say(console, "  chosen on these same images: expect less of a difference on new ones")
    if found.baseline_monitor:
        say(
            console,
            f"  part of it: the baseline's epoch was chosen by {found.baseline_monitor}, not by {s.metric}",
        )


def _stopped(s: Summary, console: Console) -> None:
    saved = s.stopped
    if not saved.trials:
        return
    shown = sorted(saved.trials, key=lambda trial: -trial.seconds_saved)[:MOST_STOPPED]
    columns = [
        ("stopped at", [f"{t.epochs} of {t.of_epochs}" for t in shown]),
        (s.metric, [number(t.objective) for t in shown]),
        ("an epoch", [duration(t.seconds_per_epoch) for t in shown]),
        ("saved", [f"≤ {duration(t.seconds_saved)}" for t in shown]),
    ]
    print_table(console, "What ASHA stopped", [str(t.trial) for t in shown], columns, "trial")
    if len(saved.trials) > len(shown):
        say(console, f"  {len(saved.trials) - len(shown)} more")
    say(
        console,
        f"  {len(saved.trials)} trials stopped: {saved.epochs_saved} epochs were not trained, beside "
        f"{saved.epochs_trained} that were; at most {duration(saved.seconds_saved)} saved, beside "
        f"{duration(saved.seconds_trained)}: an estimate by each trial's own seconds an epoch",
    )


def _importance(s: Summary, console: Console) -> None:
    found: Importances = s.importance
    if found.why_not:
        console.print()
        say(console, f"Importance of settings: {found.why_not}")
        return
    rows = found.rows
    few = [f"{r.among} trials are too few" if r.value is None else "" for r in rows]
    columns = [
        ("importance", [number(r.value) for r in rows]),
        (f"{LOW}–{HIGH} %", ["" if r.low is None else f"{number(r.low)}–{number(r.high)}" for r in rows]),
        ("trials", [str(r.among) for r in rows]),
    ]
    notes = [
        "; ".join(filter(None, (f"under {r.when}" if r.when else "", why)))
        for r, why in zip(rows, few, strict=True)
    ]
    title = f"Importance of settings: fANOVA over {found.finished} finished trials"
    print_table(console, title, [r.parameter for r in rows], columns, "setting", notes)
    say(console, "  share of the variance that a setting explains alone, and its spread over resampled trials")
    if all((row.low or 0.0) < CLEAR for row in rows):
        say(console, "  every interval begins near 0: these trials can't tell which setting mattered")


def _failures(s: Summary, console: Console) -> None:
    if not s.failures:
        return
    columns = [("failed", [str(len(group.trainings)) for group in s.failures])]
    who = ["trial " + ", ".join(group.trainings) for group in s.failures]
    print_table(console, "Failures", who, columns, "", [group.reason for group in s.failures])


def _time(s: Summary, console: Console) -> None:
    time = s.time
    if not time.spent:
        return
    whole = sum(spent.seconds for spent in time.spent) or 1.0
    columns = [
        ("trainings", [str(spent.trainings) for spent in time.spent]),
        ("epochs", [str(spent.epochs) for spent in time.spent]),
        ("time", [duration(spent.seconds) for spent in time.spent]),
        ("share", [f"{100 * spent.seconds / whole:.0f} %" for spent in time.spent]),
    ]
    print_table(
        console, "Where the time went: epochs, with their validation", [t.what for t in time.spent], columns
    )
    if time.wall_seconds is not None:
        beside = "" if time.at_once is None else f", {time.at_once:.1f} trials at once on average"
        say(console, f"  {duration(time.wall_seconds)} from the first trial's start to the last one's end{beside}")
    if time.beside_epochs is not None:
        say(
            console,
            f"  beside its epochs a trial spent {duration(time.beside_epochs)} (median) on waiting for its slot, "
            "starting and writing; how long Ray took to start is not known",
        )
    if time.resumed:
        often = "once" if time.resumed == 1 else f"{time.resumed} times"
        say(console, f"  the search was resumed {often}: the breaks are part of this")
