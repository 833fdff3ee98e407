"""All figures of one reading, as plain values: what scores.json holds."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medray.data.dataset import Array, ImageDataset
from medray.ensemble.manifest import read_manifest
from medray.evaluate.bootstrap import bootstrap, estimate, resample_counts
from medray.evaluate.compare import compare, mcnemar, verdict
from medray.evaluate.contestants import ENSEMBLE, Contestant
from medray.evaluate.scores import MODES, Measure
from medray.evaluate.subgroups import subgroups
from medray.operating.conformal import ConformalSets, summary
from medray.operating.points import OperatingPoint
from medray.operating.rates import measure as measure_rates
from medray.runs import RunDir

RESAMPLES = 1000


def all_figures(
    run: RunDir, dataset: ImageDataset, positions: Array, predictions: Mapping[str, Array],
    contestants: Sequence[Contestant], metric: str, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Measure every model on the images at `positions` (n,), by probabilities (n, classes) of each.

    Intervals are of 95 %, from a bootstrap of images, or of patients where the data set knows them.
    """
    labels, classes = dataset.labels[positions], len(dataset.class_names)
    groups = None if dataset.groups is None else dataset.groups[positions]
    measures = {name: Measure(probabilities, labels, classes) for name, probabilities in predictions.items()}
    draws = bootstrap(measures, resample_counts(len(labels), RESAMPLES, seed, groups))
    scores = {name: own.scores() for name, own in measures.items()}
    size = {contestant.name: len(contestant.members) for contestant in contestants}
    return {
        "images": len(labels),
        "patients": None if groups is None else len(np.unique(groups)),
        "class_names": list(dataset.class_names),
        "resamples": RESAMPLES,
        "models": [
            {
                "name": name,
                "networks": size[name],
                "scores": {m: dataclasses.asdict(estimate(scores[name][m], draws[name][m])) for m in MODES},
            }
            for name in measures
        ],
        "comparisons": _comparisons(measures, scores, draws, metric),
        "confusion_matrix": measures[ENSEMBLE].confusion.tolist(),
        "per_class": measures[ENSEMBLE].per_class(dataset.class_names),
        "operating_points": _points(run, predictions[ENSEMBLE], labels),
        "conformal_sets": _sets(run, predictions[ENSEMBLE], labels),
        "subgroups": _subgroups(dataset, positions, measures[ENSEMBLE], groups, seed),
    }


def _comparisons(
    measures: Mapping[str, Measure], scores: Mapping[str, Mapping[str, float]],
    draws: Mapping[str, Mapping[str, Array]], metric: str,
) -> list[dict[str, Any]]:  # fmt: skip
    """The ensemble against each other model, by the run's metric and by accuracy."""
    found = []
    for other in list(measures)[1:]:
        test = mcnemar(measures[ENSEMBLE].correct, measures[other].correct)
        for name in dict.fromkeys([metric, "accuracy"]):
            result = compare(ENSEMBLE, other, name, scores, draws)
            found.append({**dataclasses.asdict(result), "verdict": verdict(result), "mcnemar_p": test.p})
    return found


def _points(run: RunDir, probabilities: Array, labels: Array) -> list[dict[str, Any]]:
    """Each operating point as it was set, and what it does here."""
    found = []
    for content in read_manifest(run.ensemble)["operating_points"]:
        point = OperatingPoint.from_dict(content)
        scores = probabilities[:, point.class_index].astype(np.float64)
        rates = measure_rates(scores, labels == point.class_index, point.threshold)
        found.append({**point.to_dict(), "test": dataclasses.asdict(rates)})
    return found


def _sets(run: RunDir, probabilities: Array, labels: Array) -> list[dict[str, Any]]:
    found = []
    for content in read_manifest(run.ensemble)["conformal_sets"]:
        sets = ConformalSets.from_dict(content)
        found.append({**sets.to_dict(), "test": dataclasses.asdict(summary(sets.sets(probabilities), labels))})
    return found


def _subgroups(
    dataset: ImageDataset, positions: Array, measure: Measure, groups: Array | None, seed: int
) -> dict[str, Any]:
    columns = {name: column[positions] for name, column in dataset.subgroups.items()}
    found = subgroups(measure, columns, groups=groups, resamples=RESAMPLES, seed=seed)
    return {name: [dataclasses.asdict(row) for row in rows] for name, rows in found.items()}
