"""The gain of a search: best baseline, best searched trial and ensembles of trials, on the same images."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medray.analyze.open_runs import RunSnapshot
from medray.analyze.read_training import RUNNING
from medray.data.dataset import ImageDataset
from medray.ensemble.candidates import SELECTED_ON, TRIALS
from medray.ensemble.manifest import MemberFacts, read_manifest
from medray.errors import RunError, one_line
from medray.runs.folder import read_arrays
from medray.runs.leaderboard import gain
from medray.runs.rundir import MANIFEST
from medray.runs.selection_facts import WeightedMember
from medray.search.search_gain import compare_on_validation
from medray.stats.compare import PairedComparison


@dataclass(frozen=True)
class ComparisonEntry:
    """A trial, or an ensemble of `trials`, and its `difference` to the best baseline with the paired interval.

    A difference is positive where it is better. It is None where it has no 95 % interval.
    """

    name: str
    trials: tuple[int, ...]
    objective: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float | None:
        """The difference, which `low` and `high` enclose: the name that it has in an `Interval`."""
        return self.difference


@dataclass(frozen=True)
class BaselineComparison:
    """Best baseline (the first entry), best searched trial and ensembles on `images` validation images.

    `baseline_monitor` is the metric that selected the baseline's epoch, where it is another than the run's.
    `no_interval` says why differences are missing, None where none is.
    """

    metric: str
    images: int | None
    entries: tuple[ComparisonEntry, ...]
    baseline_monitor: str | None
    no_interval: str | None


def compare_with_baseline(snapshot: RunSnapshot, dataset: ImageDataset | None = None) -> BaselineComparison | None:
    """Compare the trials that have ended; None where there is no baseline or no searched trial among them.

    Where patients are known, differences and their intervals take the `dataset`, which tells whose images are.
    """
    best = gain((record for record in snapshot.records if record.state != RUNNING), snapshot.mode)
    if best is None:
        return None
    baseline, searched = best.baseline, best.best
    folder, images = snapshot.run.trial(baseline.number), None
    with contextlib.suppress(RunError, TypeError):
        images = len(read_arrays(folder, folder.PREDICTIONS, "labels")[0])
    models = [("best searched trial", {searched.number: 1.0}, searched.objective or 0.0), *_ensembles(snapshot)]
    compared, reason = _compare(snapshot, baseline.number, {name: weights for name, weights, _ in models}, dataset)
    entries = [
        ComparisonEntry(f"best baseline ({baseline.baseline})", (baseline.number,), baseline.objective or 0.0)
    ]
    for name, weights, objective in models:
        pair = compared.get(name)
        if pair is None or pair.low is None:
            entries.append(ComparisonEntry(name, tuple(weights), objective))
        else:
            entries.append(ComparisonEntry(name, tuple(weights), objective, pair.difference, pair.low, pair.high))
    if reason is None and any(entry.difference is None for entry in entries[1:]):
        reason = "too few images or patients of a class, or predictions that can't be read"
    monitor = baseline.settings.get("monitor", snapshot.metric)
    monitor = None if monitor == snapshot.metric else monitor
    return BaselineComparison(snapshot.metric, images, tuple(entries), monitor, reason)


def _compare(
    snapshot: RunSnapshot, baseline: int, models: Mapping[str, Mapping[int, float]], dataset: ImageDataset | None
) -> tuple[dict[str, PairedComparison], str | None]:
    """Return the comparisons by name, or none and the reason why."""
    groups = None
    try:
        facts = snapshot.run.read_data()
        if dataset is not None:
            groups = dataset.answered_groups(dataset.splits["val"])
        elif facts.patients is not None:
            return {}, "it needs the patient of each image, which only the data tell: `medray report` reads them"
    except (RunError, OSError) as error:
        return {}, one_line(error)
    compared = compare_on_validation(
        snapshot.run, snapshot.records, baseline, models, snapshot.metric, groups, facts.cases
    )
    return compared, None


def _ensembles(snapshot: RunSnapshot) -> list[tuple[str, dict[int, float], float]]:
    """Return name, weight of each trial, and score of each ensemble of trials; those of folds saw other images."""
    run, metric = snapshot.run, snapshot.metric
    try:
        comparison = run.read_selections()
        if comparison is not None:
            return [
                (f"ensemble ({selection.strategy})", _weights(selection.members), selection.scores[metric])
                for selection in comparison.selections
                if selection.source == TRIALS and len(selection.members) > 1
            ]
        if not run.ensemble.exists(MANIFEST):
            return []
        manifest = read_manifest(run.ensemble)
        if manifest.selected_on.predictions != SELECTED_ON[TRIALS]:
            return []
        return [("ensemble", _weights(manifest.members), manifest.selected_on.scores[metric])]
    except (RunError, OSError, KeyError) as error:
        snapshot.notes.append(f"the ensemble's scores can't be read: {one_line(error)}")
        return []


def _weights(members: Sequence[WeightedMember | MemberFacts]) -> dict[int, float]:
    weights: dict[int, float] = {}
    for member in members:
        weights[member.trial] = weights.get(member.trial, 0.0) + member.weight
    return weights
