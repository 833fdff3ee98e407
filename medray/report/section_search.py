"""What was searched: what the trials gained, how they learnt, what mattered, what was stopped or failed."""

from datetime import datetime

from medray.analyze.journal import open_study
from medray.analyze.print_analysis import cell, duration
from medray.analyze.view import best_first, varied
from medray.console_tables import metric_title, number
from medray.errors import RunError
from medray.report.blocks import Block, Table, Text
from medray.report.evidence import Evidence
from medray.report.figures_search import asha_chart, importance_chart, learning_chart, progress_chart
from medray.report.figures_space import parallel_chart
from medray.runs.documents import FAILED

CLEAR = 0.05  # an importance whose interval begins below it may be none
LEADING = ("trial", "rank", "state", "baseline", "objective", "best_epoch", "epochs", "seconds")
WORDS = ("state", "baseline")


def lead(found: Evidence) -> list[Block]:
    """How many trials of which state, and what they took."""
    own = found.summary
    counts = ", ".join(f"{count} {state}" for state, count in own.states.items() if count) or "none yet"
    total = sum(own.states.values())
    of = f" of {own.planned}" if own.planned and own.planned != total else ""
    trained = f"{own.stopped.epochs_trained} epochs in {duration(own.stopped.seconds_trained)}"
    wall = f", {duration(own.time.wall_seconds)} on the clock" if own.time.wall_seconds is not None else ""
    return [
        Text(
            f"{total}{of} trials ({counts}), ranked by {metric_title(found.metric)} on validation images "
            f"({found.better} is better); {trained}{wall}."
        )
    ]


def gained(found: Evidence) -> list[Block]:
    """The best baseline against the search, on the same images."""
    own = found.summary.baselines
    if own is None:
        return [Text("There is nothing to compare: no baseline or no searched trial has ended.", "note")]
    rows = [
        [c.name, number(c.objective), number(c.difference, sign=True), ", ".join(map(str, c.trials))]
        for c in own.contestants
    ]
    images = f" on {own.images} validation images" if own.images else ""
    head = ["", metric_title(own.metric), "better by", "trials"]
    blocks: list[Block] = [Table(f"Baselines against the search{images}", head, rows)]
    blocks.append(Text("Chosen on these same images: expect less of a difference on new ones.", "note"))
    if own.baseline_monitor:
        part = f"Part of it: the baseline's epoch was chosen by {own.baseline_monitor}, not by {own.metric}."
        blocks.append(Text(part, "note"))
    return blocks


def progress(found: Evidence) -> list[Block]:
    """The objective over time."""
    if not any(row["objective"] is not None and row["state"] != FAILED for row in found.trial_rows):
        return []
    return [progress_chart(found.trial_rows, *_times(found), found.metric, found.seen.mode)]


def _times(found: Evidence) -> tuple[dict[int, datetime], datetime | None]:
    """When trials ended by the journal, and when the first began; nothing where it can't be read."""
    try:
        trials = open_study(found.run).get_trials(deepcopy=False)
    except RunError:
        return {}, None
    begun = [trial.datetime_start for trial in trials if trial.datetime_start]
    return {t.number: t.datetime_complete for t in trials if t.datetime_complete}, min(begun, default=None)


def learning(found: Evidence) -> list[Block]:
    """The learning curves."""
    if not found.epoch_rows:
        return []
    title = f"{metric_title(found.metric)} on validation"
    return [
        learning_chart(found.trial_rows, found.epoch_rows, found.metric, title, "learning-metric"),
        learning_chart(found.trial_rows, found.epoch_rows, "train_loss", "Training loss", "learning-loss"),
    ]


def mattered(found: Evidence) -> list[Block]:
    """Parallel coordinates, and the importance of settings."""
    blocks: list[Block] = []
    chart = parallel_chart(found.trial_rows, varied(found.trials), found.metric, found.seen.mode)
    if chart is not None:
        blocks.append(chart)
    own = found.summary.importance
    if own.why_not:
        return [*blocks, Text(f"Importance of settings: {own.why_not}.", "note")]
    blocks.append(importance_chart(own))
    if all((row.low or 0.0) < CLEAR for row in own.rows):
        nothing = "Every interval begins near 0: these trials can't tell which setting mattered."
        blocks.append(Text(nothing, "note"))
    return blocks


def stopped(found: Evidence) -> list[Block]:
    """What ASHA saved, and where the time went."""
    saved, time = found.summary.stopped, found.summary.time
    blocks: list[Block] = []
    if saved.trials:
        trained = [(record.number, record.epochs) for record in found.seen.records]
        said = (
            f"{len(saved.trials)} trials were stopped; at most {duration(saved.seconds_saved)} saved, beside "
            f"{duration(saved.seconds_trained)} of training: an estimate by each trial's own seconds an epoch."
        )
        blocks += [asha_chart(saved, trained), Text(said)]
    else:
        blocks.append(Text("ASHA stopped no trial."))
    whole = sum(spent.seconds for spent in time.spent) or 1.0
    rows = [
        [
            own.what,
            str(own.trainings),
            str(own.epochs),
            duration(own.seconds),
            f"{100 * own.seconds / whole:.0f} %",
        ]
        for own in time.spent
    ]
    if rows:
        head = ["", "trainings", "epochs", "time", "share"]
        blocks.append(Table("Where the time went: epochs, with their validation", head, rows))
    return blocks


def failures(found: Evidence) -> list[Block]:
    """What failed, by reason."""
    if not found.summary.failures:
        return []
    rows = [
        ["trial " + ", ".join(own.trainings), str(len(own.trainings)), own.reason]
        for own in found.summary.failures
    ]
    return [Table("Trainings that failed", ["which", "how many", "reason"], rows, frozenset({2}))]


def leaderboard(found: Evidence) -> list[Block]:
    """Every trial with the settings in which they differ."""
    if found.trials.empty:
        return []
    board = best_first(found.trials)
    leading = [name for name in LEADING if board[name].notna().any()]
    names = [*leading, *varied(board)]
    rows = [
        [cell(name, value) for name, value in zip(names, row, strict=True)]
        for row in board[names].itertuples(index=False)
    ]
    titles = [metric_title(found.metric) if name == "objective" else name.replace("_", " ") for name in names]
    words = frozenset(i for i, name in enumerate(names) if name in WORDS or board[name].dtype == "string")
    return [Table(f"All {len(rows)} trials, best first", titles, rows, words, folded=len(rows) > 12)]
