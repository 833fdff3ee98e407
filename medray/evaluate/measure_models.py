"""Measure models on the test images: everything that scores.json holds but the facts of the read."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.decisions.conformal import ConformalSets
from medray.decisions.thresholds import OperatingPoint
from medray.evaluate.cut_scores import CutScores
from medray.evaluate.evaluated_models import ENSEMBLE, EvaluatedModel
from medray.evaluate.scores_document import (
    CaseScores,
    EnsembleComparison,
    ModelScores,
    PointOnTest,
    Scores,
    SetsOnTest,
)
from medray.evaluate.subgroup_rates import subgroup_rates
from medray.stats.bootstrap import bootstrap, resample_counts
from medray.stats.class_scores import class_scores
from medray.stats.compare import compare_models, holm, verdict
from medray.stats.label_set_predictions import AnyPredictions, predictions_of
from medray.stats.score_intervals import score_interval
from medray.stats.subgroups import subgroup_scores
from medray.tasks import TASKS

RESAMPLES = 1000


def check_resamples(dataset: ImageDataset, positions: Array) -> None:
    """Check that the images at `positions` (n,), or their cases, can be resampled, without reading their labels.

    Raises:
        DataError: there are too few images, cases or patients, or a patient is missing.
    """
    units = len(positions) if dataset.cases is None else len(dataset.cases.at(positions))
    resample_counts(units, RESAMPLES, 0, dataset.answered_groups(positions))


def measure_models(
    dataset: ImageDataset, positions: Array, predictions: Mapping[str, Array], models: Sequence[EvaluatedModel],
    task: str, metric: str, seed: int, *, points: Sequence[OperatingPoint] = (), conformal: Sequence[ConformalSets]
    = (), by_image: Array | None = None,
) -> Scores:  # fmt: skip
    """Return all scores of `models` on the images at `positions` (n,), from their probabilities (n, classes).

    Where the data set has cases, the probabilities are answers to the cases of these images, which are measured.
    Intervals are 95 % intervals, by patient where the data set knows them.
    `points` and `conformal` are those of the ensemble, which were set before. `by_image` (n, classes) are its
    answers to the images alone, to stand beside those to cases.
    """
    images, names = dataset.at(positions), dataset.class_names
    labels, groups, cases = images.answered_labels, dataset.answered_groups(positions), images.own_cases
    measured = {name: predictions_of(table, labels, len(names)) for name, table in predictions.items()}
    draws = bootstrap(measured, resample_counts(len(labels), RESAMPLES, seed, groups))
    ensemble = measured[ENSEMBLE]
    primary = next((model.name for model in models if model.primary), None)
    columns = {name: column[positions] for name, column in dataset.subgroups.items()}
    columns = columns if cases is None else cases.columns(columns)
    subgroups = subgroup_scores(ensemble, columns, groups=groups)
    estimates = {
        name: {metric: score_interval(metric, model, groups) for metric in TASKS[task].scores}
        for name, model in measured.items()
    }
    return Scores(
        seed=seed,
        task=task,
        metric=metric,
        images=len(positions),
        cases=None if cases is None else _case_scores(dataset, positions, task, by_image),
        patients=None if groups is None else len(np.unique(groups)),
        class_names=tuple(names),
        resamples=RESAMPLES,
        models=tuple(ModelScores(model.name, len(model.members), estimates[model.name]) for model in models),
        comparisons=compare_ensemble(measured, draws, (metric, TASKS[task].share), groups, primary),
        confusion_matrix=tuple(map(tuple, ensemble.confusion.tolist())),
        per_class=tuple(class_scores(ensemble, names, groups)),
        cuts=tuple(
            CutScores.of(event, ensemble, groups)
            for event in (TASKS[task].events(names) if TASKS[task].cuts else ())
        ),
        operating_points=tuple(PointOnTest.of(point, ensemble, groups) for point in points),
        conformal_sets=tuple(SetsOnTest.of(sets, ensemble, groups) for sets in conformal),
        subgroups={name: tuple(rows) for name, rows in subgroups.items()},
        subgroup_rates=subgroup_rates(points, ensemble, columns, groups, seed),
    )


def _case_scores(dataset: ImageDataset, positions: Array, task: str, by_image: Array | None) -> CaseScores:
    """Return the number of cases of the images at `positions` (n,), and scores of answers to the images alone."""
    images, clusters = dataset.at(positions), dataset.clusters
    assert images.own_cases is not None
    assert clusters is not None
    scores = {}
    if by_image is not None:
        measured = predictions_of(by_image, images.own_labels, len(dataset.class_names))
        scores = {name: score_interval(name, measured, clusters[positions]) for name in TASKS[task].scores}
    return CaseScores(images.own_cases.rule, len(images.own_cases), scores)


def compare_ensemble(
    measured: Mapping[str, AnyPredictions], draws: Mapping[str, Mapping[str, Array]], metrics: tuple[str, str],
    groups: Array | None, primary: str | None,
) -> tuple[EnsembleComparison, ...]:  # fmt: skip
    """Compare the ensemble with each other model, by two metrics, the first of which is the run's.

    That with the model `primary` by the first stands alone, the others are one family.
    """
    results = [
        compare_models(ENSEMBLE, other, name, measured, draws, groups)
        for other, name in itertools.product(list(measured)[1:], dict.fromkeys(metrics))
    ]
    alone = [(result.other, result.metric) == (primary, metrics[0]) for result in results]
    adjusted = holm([None if first else result.p for result, first in zip(results, alone, strict=True)])
    comparisons = []
    for result, first, family_p in zip(results, alone, adjusted, strict=True):
        p = result.p if first else family_p
        comparisons.append(
            EnsembleComparison(**vars(result), primary=first, adjusted_p=p, verdict=verdict(result, p))
        )
    return tuple(comparisons)
