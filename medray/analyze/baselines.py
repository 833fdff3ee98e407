"""The gain of a search: best baseline, best searched trial and ensembles of trials, on the same images."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from medray.analyze.open_runs import RunSnapshot
from medray.analyze.read_training import RUNNING
from medray.ensemble.candidates import SELECTED_ON, TRIALS
from medray.ensemble.manifest import MemberFacts, read_manifest
from medray.errors import RunError, one_line
from medray.runs.folder import read_arrays
from medray.runs.leaderboard import gain
from medray.runs.rundir import MANIFEST
from medray.runs.selection_facts import WeightedMember


@dataclass(frozen=True)
class ComparisonEntry:
    """A trial, or an ensemble of `trials`; `difference` to the best baseline is positive where it is better."""

    name: str
    trials: tuple[int, ...]
    objective: float
    difference: float | None


@dataclass(frozen=True)
class BaselineComparison:
    """Best baseline (the first entry), best searched trial and ensembles on `images` validation images.

    `baseline_monitor` is the metric that selected the baseline's epoch, where it is another than the run's.
    """

    metric: str
    images: int | None
    entries: tuple[ComparisonEntry, ...]
    baseline_monitor: str | None


def compare_with_baseline(snapshot: RunSnapshot) -> BaselineComparison | None:
    """Compare the trials that have ended; None where there is no baseline or no searched trial among them."""
    best = gain((record for record in snapshot.records if record.state != RUNNING), snapshot.mode)
    if best is None:
        return None
    baseline, searched = best.baseline, best.best
    folder, images = snapshot.run.trial(baseline.number), None
    with contextlib.suppress(RunError, TypeError):
        images = len(read_arrays(folder, folder.PREDICTIONS, "labels")[0])
    zero, sign = baseline.objective or 0.0, 1 if snapshot.mode == "max" else -1
    others = [("best searched trial", (searched.number,), searched.objective or 0.0), *_ensembles(snapshot)]
    monitor = baseline.settings.get("monitor", snapshot.metric)
    return BaselineComparison(
        snapshot.metric,
        images,
        (
            ComparisonEntry(f"best baseline ({baseline.baseline})", (baseline.number,), zero, None),
            *(ComparisonEntry(name, trials, value, sign * (value - zero)) for name, trials, value in others),
        ),
        None if monitor == snapshot.metric else monitor,
    )


def _ensembles(snapshot: RunSnapshot) -> list[tuple[str, tuple[int, ...], float]]:
    """Return name, trials and score of each ensemble of trials; those of folds were measured on other images."""
    run, metric = snapshot.run, snapshot.metric
    try:
        comparison = run.read_selections()
        if comparison is not None:
            return [
                (f"ensemble ({selection.strategy})", _trials(selection.members), selection.scores[metric])
                for selection in comparison.selections
                if selection.source == TRIALS and len(selection.members) > 1
            ]
        if not run.ensemble.exists(MANIFEST):
            return []
        manifest = read_manifest(run.ensemble)
        if manifest.selected_on.predictions != SELECTED_ON[TRIALS]:
            return []
        return [("ensemble", _trials(manifest.members), manifest.selected_on.scores[metric])]
    except (RunError, OSError, KeyError) as error:
        snapshot.notes.append(f"the ensemble's scores can't be read: {one_line(error)}")
        return []


def _trials(members: Sequence[WeightedMember | MemberFacts]) -> tuple[int, ...]:
    return tuple(member.trial for member in members)
