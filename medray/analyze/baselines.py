"""What the search gained: the best baseline, the best searched trial, and the ensemble, on the same images."""

from dataclasses import dataclass

from medray.analyze.open_runs import SeenRun
from medray.analyze.partial import RUNNING
from medray.errors import RunError
from medray.runs.folder import read_arrays
from medray.runs.leaderboard import gain
from medray.runs.rundir import TrialRecord


@dataclass(frozen=True)
class Contestant:
    """One of those compared; `difference` is to the best baseline, positive where it is better in either mode."""

    name: str
    trials: tuple[int, ...]
    objective: float
    difference: float | None


@dataclass(frozen=True)
class Comparison:
    """Best baseline, best searched trial and ensembles on `images` validation images; the first is the baseline.

    `baseline_monitor` is the metric that chose the baseline's epoch where it is another than the run's.
    """

    metric: str
    images: int | None
    contestants: tuple[Contestant, ...]
    baseline_monitor: str | None


def compare(run: SeenRun) -> Comparison | None:
    """Compare what has ended; None where no baseline or no searched trial has."""
    found = gain((r for r in run.records if r.state != RUNNING), run.mode)
    if found is None:
        return None
    base, best = found.baseline, found.best
    zero, sign = base.objective or 0.0, 1 if run.mode == "max" else -1
    rest = [("best searched trial", (best.number,), best.objective or 0.0), *_ensembles(run)]
    monitor = base.settings.get("monitor", run.metric)
    return Comparison(
        run.metric,
        _images(run, base),
        (
            Contestant(f"best baseline ({base.baseline})", (base.number,), zero, None),
            *(Contestant(name, trials, value, sign * (value - zero)) for name, trials, value in rest),
        ),
        None if monitor == run.metric else monitor,
    )


def _ensembles(run: SeenRun) -> list[tuple[str, tuple[int, ...], float]]:
    """Ways of averaging trials, each by its figure on validation; those of folds were measured on other images."""
    try:
        if run.run.exists(run.run.WAYS):
            ways = run.run.read_json(run.run.WAYS)["ways"]
            chosen = [w for w in ways if w["source"] == "trials" and len(w["members"]) > 1]
            return [_way(f"ensemble ({w['name']})", w["members"], w["scores"][run.metric]) for w in chosen]
        if not run.run.ensemble.exists("manifest.json"):
            return []
        manifest = run.run.ensemble.read_json("manifest.json")
        if manifest["chosen_on"]["predictions"] != "val":
            return []
        return [_way("ensemble", manifest["members"], manifest["chosen_on"]["scores"][run.metric])]
    except (RunError, OSError, KeyError, TypeError, ValueError) as error:
        run.notes.append(f"the ensemble's figures can't be read: {' '.join(str(error).split())}")
        return []


def _way(name: str, members: list[dict[str, int]], score: float) -> tuple[str, tuple[int, ...], float]:
    return name, tuple(int(member["trial"]) for member in members), float(score)


def _images(run: SeenRun, record: TrialRecord) -> int | None:
    folder = run.run.trial(record.number)
    try:
        return len(read_arrays(folder, folder.PREDICTIONS, "labels")[0])
    except (RunError, TypeError):
        return None
