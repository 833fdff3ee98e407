"""The results of a search as lines for people and as JSON."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from medray.console import say
from medray.console_tables import metric_title, print_table
from medray.runs.kept_weights import KEPT
from medray.runs.leaderboard import gain, rank, usable
from medray.runs.trial_record import FAILED, FINISHED, FLAT, STOPPED, TIME, TrialRecord
from medray.search.flatness import FEWEST, PART
from medray.search.run_search import SearchResult
from medray.search.search_progress import four_places, settings_line
from medray.stats.case_rule import CaseRule, title_with, unit_of
from medray.stats.score_names import METRICS
from medray.tasks import TASKS
from medray.text import first_names, plural


def print_search_result(result: SearchResult, console: Console, *, hints: bool = True) -> None:
    """Print the first rows of the leaderboard, the gain over the best baseline, and the paths of all files.

    With `hints` the command that comes next is named.
    """
    metric, run, share = result.space.metric, result.run, TASKS[result.space.task].share
    if usable(result.records):
        print_leaderboard(result.records, metric, console, share=share, cases=result.cases)
    counts = {state: sum(r.state == state for r in result.records) for state in (FINISHED, STOPPED, FAILED)}
    say(console, "Trials: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    for record in result.records:
        if record.state == FAILED:
            say(console, f"  trial {record.number} failed: {record.reason}")
    for line in filter(None, [*end_lines(result), gain_line(result)]):
        say(console, line)
    if result.ensemble is not None:
        selected_on, members = result.ensemble.selected_on, result.ensemble.members
        images = plural(selected_on.images, unit_of(result.cases))
        say(
            console,
            f"Ensemble of {len(members)}: {selected_on.predictions} {metric} {selected_on.scores[metric]:.4f}, "
            f"{metric_title(share)} {selected_on.scores[share]:.4f} on {images}",
        )
        say(console, f"All of this was selected on these {unit_of(result.cases)}s: expect less on new ones.")
    if len(usable(result.records)) > KEPT:
        say(console, f"Weights are kept of the best {KEPT} trials, and of baselines; all else of every trial.")
    say(console, f"Leaderboard: {run.path(run.LEADERBOARD)}")
    if result.ensemble is not None:
        say(console, f"Ensemble:    {run.path('ensemble')}")
    if not hints:
        return
    if result.interrupted:
        left = "Time is" if result.left is None else f"{result.left} trials are"
        say(console, f"{left} left; go on with: {result.resume_command}")
    elif result.ensemble is not None:
        say(console, f"Next: medray crossval {run.location}")


def end_lines(result: SearchResult) -> Iterator[str]:
    """Yield why the search ended before all its trials had, if it did, and what goes on."""
    if result.ended_by == TIME:
        stopped = sum(record.ended_by == TIME for record in result.records)
        trials = f"{plural(stopped, 'trial')} stopped after a whole epoch" if stopped else "no trial was stopped"
        yield f"The time is over, {trials}; go on with: {result.resume_command} --hours …, the new total"
        if result.not_begun:
            yield f"No time for a first rung of baselines: {first_names(result.not_begun, 6)}"
    if result.ended_by == FLAT:
        yield (
            f"The search is flat: the last half of its trials, and at least {FEWEST}, did not improve the best "
            f"objective by {PART:g} of its standard error; go on with: {result.resume_command} "
            "--no-stop-when-flat"
        )


def search_result_json(result: SearchResult) -> dict[str, Any]:
    """Return the results as plain values for JSON."""
    mode = result.space.mode
    best_gain = gain(result.records, mode)
    return {
        "run": result.run.location,
        "space": result.space.name,
        "metric": result.space.metric,
        "interrupted": result.interrupted,
        "trials_left": result.left,
        "ended_by": result.ended_by,
        "trials": [dataclasses.asdict(record) for record in rank(result.records, mode)],
        "gain": best_gain
        and {
            "best": best_gain.best.number,
            "baseline": best_gain.baseline.baseline,
            "difference": best_gain.difference,
            "interval": None if result.gain is None else [result.gain.low, result.gain.high],
        },
        "val_images": result.val_images,
        "cases": None if result.cases is None else result.cases.to_dict(),
        "ensemble": None
        if result.ensemble is None
        else {
            "folder": result.run.path(result.run.ENSEMBLE),
            "val_scores": result.ensemble.selected_on.scores,
            "members": [member.trial for member in result.ensemble.members],
        },
        "leaderboard": result.run.path(result.run.LEADERBOARD),
        "resume": result.resume_command if result.interrupted else None,
    }


def print_leaderboard(
    records: list[TrialRecord], metric: str, console: Console, limit: int = 10, *, share: str = "accuracy",
    cases: CaseRule | None = None,
) -> None:  # fmt: skip
    """Print the first rows of the leaderboard, with `share`, the task's score that is a share of images.

    `cases` is the rule that the scores are by, if any.
    """
    second = share if metric != share else "auc"
    ranked = rank(usable(records), METRICS[metric])[:limit]
    columns = [
        ("trial", [str(r.number) for r in ranked]),
        ("state", [r.state for r in ranked]),
        ("epochs", [str(r.epochs) for r in ranked]),
        (f"val {metric}", [four_places(r.objective) for r in ranked]),
        (f"val {second}", [four_places(r.metrics.get(second)) for r in ranked]),
    ]
    settings = [" · ".join(filter(None, (r.baseline, settings_line(r.settings)))) for r in ranked]
    ranks = [str(position) for position in range(1, len(ranked) + 1)]
    title = title_with(cases, f"Leaderboard, by {metric} on validation")
    print_table(console, title, ranks, columns, "rank", settings)


def gain_line(result: SearchResult) -> str | None:
    """Return what the search gained over the best baseline, with its interval; None without a baseline."""
    metric = result.space.metric
    best_gain = gain(result.records, METRICS[metric])
    if best_gain is None:
        return None
    baseline, difference = best_gain.baseline, best_gain.difference
    verb = "gained" if difference > 0 else "lost" if difference < 0 else "neither gained nor lost"
    monitor = baseline.settings.get("monitor", metric)
    caveat = "" if monitor == metric else f"; part of it is that the baseline's epoch was selected by {monitor}"
    line = (
        f"Over the best baseline ({baseline.baseline}, {baseline.objective:.4f}) the search {verb} "
        f"{abs(difference):.4f} {metric} on {result.val_images} validation {unit_of(result.cases)}s"
    )
    if result.gain is not None and result.gain.low is not None and result.gain.high is not None:
        low, high = result.gain.low, result.gain.high
        line += f" (95 % interval {low + 0.0:+.4f} to {high + 0.0:+.4f})"
    else:
        line += " (no interval: too few images or patients of a class)"
    return f"{line}{caveat}. The best of several was picked on them: on new images it gains less, or nothing."
