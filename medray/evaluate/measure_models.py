"""All figures of one reading, as plain values: what scores.json holds."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.decisions.conformal import ConformalSets, summary
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.manifest import MANIFEST
from medray.errors import RunError
from medray.evaluate.evaluated_models import ENSEMBLE, Contestant
from medray.evaluate.test_reads import undamaged
from medray.runs.rundir import RunDir
from medray.stats.bootstrap import Estimate, bootstrap, estimate, resample_counts
from medray.stats.compare import compare, mcnemar, verdict
from medray.stats.rates import measure as measure_rates
from medray.stats.scores import MODES, Measure
from medray.stats.subgroups import subgroups

RESAMPLES = 1000


@dataclass(frozen=True)
class Decisions:
    """How the ensemble's probabilities become decisions, as it was set before the test split was read."""

    points: tuple[OperatingPoint, ...]
    sets: tuple[ConformalSets, ...]


def read_decisions(run: RunDir, manifest: dict[str, Any]) -> Decisions:
    """Return the operating points and conformal sets of the manifest of the run's ensemble.

    Raises:
        RunError: they are damaged.
    """
    with undamaged(run.ensemble.path(MANIFEST)):
        points = tuple(OperatingPoint.from_dict(content) for content in manifest["operating_points"])
        sets = tuple(ConformalSets.from_dict(content) for content in manifest["conformal_sets"])
        names = manifest["class_names"]
        for point in points:
            if names[point.class_index] != point.positive:
                raise RunError(f"damaged operating point: class {point.class_index} is not '{point.positive}'")
    return Decisions(points, sets)


def check_resamples(dataset: ImageDataset, positions: Array) -> None:
    """Check that the images at `positions` (n,) can be resampled, without a look at their labels.

    Raises:
        DataError: there are too few images or patients, or a patient is not known.
    """
    resample_counts(len(positions), RESAMPLES, 0, _patients(dataset, positions))


def _patients(dataset: ImageDataset, positions: Array) -> Array | None:
    return None if dataset.groups is None else dataset.groups[positions]


def all_figures(
    dataset: ImageDataset, positions: Array, predictions: Mapping[str, Array], contestants: Sequence[Contestant],
    decisions: Decisions, metric: str, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Measure every model on the images at `positions` (n,), by probabilities (n, classes) of each.

    Intervals are of 95 %, from a bootstrap of images, or of patients where the data set knows them.
    """
    labels, classes = dataset.labels[positions], len(dataset.class_names)
    groups = _patients(dataset, positions)
    measures = {name: Measure(probabilities, labels, classes) for name, probabilities in predictions.items()}
    draws = bootstrap(measures, resample_counts(len(labels), RESAMPLES, seed, groups))
    scores = {name: own.scores() for name, own in measures.items()}
    whole = measures[ENSEMBLE]
    return {
        "images": len(labels),
        "patients": None if groups is None else len(np.unique(groups)),
        "class_names": list(dataset.class_names),
        "resamples": RESAMPLES,
        "models": [
            {
                "name": contestant.name,
                "networks": len(contestant.members),
                "scores": _estimates(scores[contestant.name], draws[contestant.name]),
            }
            for contestant in contestants
        ],
        "comparisons": _comparisons(measures, scores, draws, metric, paired_by_image=groups is None),
        "confusion_matrix": whole.confusion.tolist(),
        "per_class": whole.per_class(dataset.class_names),
        "operating_points": [_point(point, predictions[ENSEMBLE], labels) for point in decisions.points],
        "conformal_sets": [_sets(sets, predictions[ENSEMBLE], labels) for sets in decisions.sets],
        "subgroups": _subgroups(dataset, positions, whole, groups, seed),
    }


def _estimates(scores: Mapping[str, float], draws: Mapping[str, Array]) -> dict[str, dict[str, Any]]:
    found = {name: estimate(scores[name], draws[name]) for name in MODES}
    # A resample's own noise widens the gaps that it sums: its interval lies too high, so none is given.
    ece = found["calibration_error"]
    found["calibration_error"] = Estimate(ece.value, None, None, ece.resamples_used)
    return {name: dataclasses.asdict(own) for name, own in found.items()}


def _comparisons(
    measures: Mapping[str, Measure], scores: Mapping[str, Mapping[str, float]],
    draws: Mapping[str, Mapping[str, Array]], metric: str, *, paired_by_image: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """The ensemble against each other model, by the run's metric and by accuracy.

    McNemar's p is None where patients have several images, which it would take to be independent.
    """
    found = []
    for other in list(measures)[1:]:
        for name in dict.fromkeys([metric, "accuracy"]):
            result = compare(ENSEMBLE, other, name, scores, draws)
            p = None
            if name == "accuracy" and paired_by_image:
                p = mcnemar(measures[ENSEMBLE].correct, measures[other].correct).p
            found.append({**dataclasses.asdict(result), "verdict": verdict(result), "mcnemar_p": p})
    return found


def _point(point: OperatingPoint, probabilities: Array, labels: Array) -> dict[str, Any]:
    """An operating point as it was set, and what it does here."""
    scores = probabilities[:, point.class_index].astype(np.float64)
    rates = measure_rates(scores, labels == point.class_index, point.threshold)
    return {**point.to_dict(), "test": dataclasses.asdict(rates)}


def _sets(sets: ConformalSets, probabilities: Array, labels: Array) -> dict[str, Any]:
    return {**sets.to_dict(), "test": dataclasses.asdict(summary(sets.sets(probabilities), labels))}


def _subgroups(
    dataset: ImageDataset, positions: Array, measure: Measure, groups: Array | None, seed: int
) -> dict[str, Any]:
    columns = {name: column[positions] for name, column in dataset.subgroups.items()}
    found = subgroups(measure, columns, groups=groups, resamples=RESAMPLES, seed=seed)
    return {name: [dataclasses.asdict(row) for row in rows] for name, rows in found.items()}
