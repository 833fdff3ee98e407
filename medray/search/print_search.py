"""The last lines of a search, for people and for programs."""

import dataclasses
from typing import Any

from rich.console import Console

from medray.runs.documents import FAILED, FINISHED, STOPPED
from medray.runs.leaderboard import gain, rank, usable
from medray.search.run_search import SearchResult
from medray.search.search_progress import gain_line, print_leaderboard


def print_result(result: SearchResult, console: Console) -> None:
    """Print the leaderboard's head, the gain over the best baseline, and where everything lies."""
    metric, run = result.space.metric, result.run

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    if usable(result.records):
        print_leaderboard(result.records, metric, console)
    counts = {state: sum(r.state == state for r in result.records) for state in (FINISHED, STOPPED, FAILED)}
    say("Trials: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    for record in result.records:
        if record.state == FAILED:
            say(f"  trial {record.number} failed: {record.reason}")
    line = gain_line(result.records, metric, result.val_images)
    if line:
        say(line)
    if result.ensemble is not None:
        on, members = result.ensemble.selected_on, result.ensemble.members
        say(
            f"Ensemble of {len(members)}: {on.predictions} {metric} {on.scores[metric]:.4f}, accuracy "
            f"{on.scores['accuracy']:.4f} on {on.images} images"
        )
        say("All of this was selected on these images: expect less on new ones.")
    say(f"Leaderboard: {run.path(run.LEADERBOARD)}")
    if result.ensemble is not None:
        say(f"Ensemble:    {run.path('ensemble')}")
    if result.interrupted:
        say(f"{result.left} trials are left; go on with: {result.resume_command}")
    elif result.ensemble is not None:
        say(f"Next: medray crossval {run.location}")


def to_json(result: SearchResult) -> dict[str, Any]:
    """Return the same as plain values."""
    mode = result.space.mode
    found = gain(result.records, mode)
    return {
        "run": result.run.location,
        "space": result.space.name,
        "metric": result.space.metric,
        "interrupted": result.interrupted,
        "trials_left": result.left,
        "trials": [dataclasses.asdict(record) for record in rank(result.records, mode)],
        "gain": None
        if found is None
        else {"best": found.best.number, "baseline": found.baseline.baseline, "difference": found.difference},
        "val_images": result.val_images,
        "ensemble": None
        if result.ensemble is None
        else {
            "folder": result.run.path("ensemble"),
            "val_scores": result.ensemble.selected_on.scores,
            "members": [member.trial for member in result.ensemble.members],
        },
        "leaderboard": result.run.path(result.run.LEADERBOARD),
        "resume": result.resume_command if result.interrupted else None,
    }
