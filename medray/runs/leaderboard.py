"""The leaderboard: rank the records of trials, and measure what the search gained over the baselines."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from medray.runs.trial_record import FAILED, TrialRecord
from medray.stats.score_names import METRICS


def rank(records: Iterable[TrialRecord], mode: str) -> list[TrialRecord]:
    """Sort records: best objective first, the earlier trial where it is the same, failed ones at the end."""
    sign = -1 if mode == "max" else 1

    def key(record: TrialRecord) -> tuple[bool, float, int]:
        usable = record.state != FAILED and record.objective is not None
        return not usable, sign * (record.objective or 0.0) if usable else 0.0, record.number

    return sorted(records, key=key)


def usable(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the records of trials that have weights to use: finished and stopped ones."""
    return [r for r in records if r.state != FAILED and r.objective is not None]


def distinct(ranked: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    """Yield the records, of linear heads on the same features only the first: the others are nearly the same.

    A search fits them by the dozen, and the average of eight is one model that is counted eight times.
    """
    seen = set()
    for record in ranked:
        if record.features is None or record.features not in seen:
            seen.add(record.features)
            yield record


@dataclass(frozen=True)
class Gain:
    """What the best searched trial gains over the best baseline; positive is better in either mode."""

    best: TrialRecord
    baseline: TrialRecord
    difference: float


def gain(records: Iterable[TrialRecord], mode: str) -> Gain | None:
    """Compare the best searched trial with the best baseline; None where there is not one of each."""
    ranked = rank(usable(records), mode)
    searched = [r for r in ranked if r.baseline is None]
    baselines = [r for r in ranked if r.baseline is not None]
    if not searched or not baselines:
        return None
    sign = 1 if mode == "max" else -1
    difference = sign * ((searched[0].objective or 0.0) - (baselines[0].objective or 0.0))
    return Gain(searched[0], baselines[0], difference)


def to_csv(ranked: list[TrialRecord], metric: str) -> str:
    """Write a ranking as CSV: one row a trial, with its validation metrics and all its settings."""
    settings = list(dict.fromkeys(name for record in ranked for name in record.settings))
    measured = {name for record in ranked for name in record.metrics}
    metrics = [name for name in METRICS if name != metric and name in measured]
    columns = [
        "rank", "trial", "state", "baseline", f"val_{metric}", "best_epoch", "epochs", "seconds", "parameters",
        "ended_by", "reason",
    ]  # fmt: skip
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    titles = ["max_epochs" if name == "epochs" else name for name in settings]
    writer.writerow([*columns, *(f"val_{name}" for name in metrics), *titles])
    for position, r in enumerate(ranked, start=1):
        cells = [
            position if r.objective is not None and r.state != FAILED else "", r.number, r.state, r.baseline,
            r.objective, r.best_epoch, r.epochs, round(r.seconds, 3), r.parameters, r.ended_by, r.reason,
        ]  # fmt: skip
        writer.writerow(
            [*cells, *(r.metrics.get(name) for name in metrics), *(r.settings.get(name) for name in settings)]
        )
    return stream.getvalue()
