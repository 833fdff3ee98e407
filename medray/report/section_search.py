"""What was searched: gain over the baselines, learning curves, importance, stopped and failed trials."""

from medray.analyze.frame_view import best_first, varied
from medray.analyze.importance import CLEAR
from medray.analyze.journal import open_study
from medray.analyze.print_analysis import cell, duration, time_rows
from medray.console_tables import interval, metric_caveat, metric_title, number
from medray.errors import RunError
from medray.report.blocks import Block, Table, Text
from medray.report.evidence import Evidence
from medray.report.figures_search import asha_chart, importance_chart, learning_chart, progress_chart
from medray.report.figures_space import parallel_chart
from medray.runs.trial_record import FAILED
from medray.stats.score_names import METRICS

LEADING = ("trial", "rank", "state", "baseline", "objective", "best_epoch", "epochs", "seconds")
TEXT_COLUMNS = ("state", "baseline")


def search_lead(evidence: Evidence) -> list[Block]:
    """Return the numbers of trials by state, and the time that they took."""
    summary, better = evidence.summary, "higher" if METRICS[evidence.metric] == "max" else "lower"
    trained = f"{summary.stopped.epochs_trained} epochs in {duration(summary.stopped.seconds_trained)}"
    wall = summary.time.wall_seconds
    caveat = metric_caveat(evidence.metric)
    clock = "" if wall is None else f", {duration(wall)} on the clock"
    return [
        Text(
            f"{summary.trials_line}, ranked by {metric_title(evidence.metric)} on validation images ({better} is "
            f"better); {trained}{clock}."
        ),
        *([Text(caveat, "note")] if caveat else []),
    ]


def gain(evidence: Evidence) -> list[Block]:
    """Return the comparison of the best baseline with the search, on the same images."""
    comparison = evidence.summary.baselines
    if comparison is None:
        return [Text("There is nothing to compare: no baseline or no searched trial has ended.", "note")]
    rows = [
        [
            entry.name, number(entry.objective), interval(entry, sign=True),
            ", ".join(map(str, entry.trials)),
        ]
        for entry in comparison.entries
    ]  # fmt: skip
    images = f" on {comparison.images} validation images" if comparison.images else ""
    head = ["", metric_title(comparison.metric), "better by (95 % interval)", "trials"]
    blocks: list[Block] = [Table(f"Baselines against the search{images}", head, rows)]
    if comparison.no_interval:
        blocks.append(Text(f"No difference without its interval: {comparison.no_interval}.", "note"))
    blocks.append(Text("Selected on these same images: expect less of a difference on new ones.", "note"))
    if comparison.baseline_monitor:
        monitor = f"the baseline's epoch was selected by {comparison.baseline_monitor}, not by {comparison.metric}"
        blocks.append(Text(f"Part of it: {monitor}.", "note"))
    return blocks


def progress(evidence: Evidence) -> list[Block]:
    """Return the chart of the objective over time; times are those of the journal, if it can be read."""
    if not any(row["objective"] is not None and row["state"] != FAILED for row in evidence.trial_rows):
        return []
    try:
        trials = open_study(evidence.run).get_trials(deepcopy=False)
    except RunError:
        trials = []
    begun = min((trial.datetime_start for trial in trials if trial.datetime_start), default=None)
    ends = {trial.number: trial.datetime_complete for trial in trials if trial.datetime_complete}
    return [progress_chart(evidence.trial_rows, ends, begun, evidence.metric, evidence.snapshot.mode)]


def learning(evidence: Evidence) -> list[Block]:
    """Return the learning curves of the run's metric and of the training loss."""
    trials, epochs = evidence.trial_rows, evidence.epoch_rows
    if not epochs:
        return []
    title = f"{metric_title(evidence.metric)} on validation"
    return [
        learning_chart(trials, epochs, evidence.metric, title, "learning-metric"),
        learning_chart(trials, epochs, "train_loss", "Training loss", "learning-loss"),
    ]


def importance(evidence: Evidence) -> list[Block]:
    """Return parallel coordinates, and the importance of settings."""
    blocks: list[Block] = []
    chart = parallel_chart(evidence.trial_rows, varied(evidence.trials), evidence.metric, evidence.snapshot.mode)
    if chart is not None:
        blocks.append(chart)
    importances = evidence.summary.importance
    if importances.why_not:
        reasons = "; ".join(filter(None, (importances.why_not, importances.left_out)))
        return [*blocks, Text(f"Importance of settings: {reasons}.", "note")]
    blocks.append(importance_chart(importances))
    if importances.left_out:
        blocks.append(Text(f"{importances.left_out}.", "note"))
    if not importances.any_clear:
        unclear = f"No p is {CLEAR} or less: these trials can't tell which setting mattered."
        blocks.append(Text(unclear, "note"))
    return blocks


def stopped(evidence: Evidence) -> list[Block]:
    """Return what ASHA saved, and the time by kind of training."""
    saved = evidence.summary.stopped
    blocks: list[Block] = [Text("ASHA stopped no trial.")]
    if saved.trials:
        trained = [(record.number, record.epochs) for record in evidence.snapshot.records]
        estimate = (
            f"{len(saved.trials)} trials were stopped; at most {duration(saved.seconds_saved)} saved, beside "
            f"{duration(saved.seconds_trained)} of training: an estimate by each trial's own seconds an epoch."
        )
        blocks = [asha_chart(saved, trained), Text(estimate)]
    if rows := time_rows(evidence.summary.time):
        head = ["", "trainings", "epochs", "time", "share"]
        blocks.append(Table("Where the time went: epochs, with their validation", head, rows))
    return blocks


def failures(evidence: Evidence) -> list[Block]:
    """Return the failed trainings by reason."""
    rows = [
        ["trial " + ", ".join(group.trainings), str(len(group.trainings)), group.reason]
        for group in evidence.summary.failures
    ]
    return [Table("Trainings that failed", ["which", "how many", "reason"], rows, frozenset({2}))] if rows else []


def leaderboard(evidence: Evidence) -> list[Block]:
    """Return every trial with the settings in which trials differ."""
    if evidence.trials.empty:
        return []
    frame = best_first(evidence.trials)
    leading = [name for name in LEADING if frame[name].notna().any()]
    names = [*leading, *varied(frame)]
    rows = [
        [cell(name, value) for name, value in zip(names, row, strict=True)]
        for row in frame[names].itertuples(index=False)
    ]
    titles = [metric_title(evidence.metric) if name == "objective" else name.replace("_", " ") for name in names]
    words = frozenset(i for i, name in enumerate(names) if name in TEXT_COLUMNS or frame[name].dtype == "string")
    return [Table(f"All {len(rows)} trials, best first", titles, rows, words, folded=len(rows) > 12)]
