"""Measure models on the test images: everything that scores.json holds but the facts of the read."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.decisions.conformal import ConformalSets
from medray.decisions.thresholds import OperatingPoint
from medray.evaluate.evaluated_models import ENSEMBLE, EvaluatedModel
from medray.evaluate.scores_document import EnsembleComparison, ModelScores, PointOnTest, Scores, SetsOnTest
from medray.stats.bootstrap import Estimate, bootstrap, estimate, resample_counts
from medray.stats.compare import compare_models, mcnemar, verdict
from medray.stats.scores import MODES, Predictions
from medray.stats.subgroups import subgroup_scores

RESAMPLES = 1000


def check_resamples(dataset: ImageDataset, positions: Array) -> None:
    """Check that the images at `positions` (n,) can be resampled, without reading their labels.

    Raises:
        DataError: there are too few images or patients, or a patient is missing.
    """
    resample_counts(len(positions), RESAMPLES, 0, None if dataset.groups is None else dataset.groups[positions])


def measure_models(
    dataset: ImageDataset, positions: Array, predictions: Mapping[str, Array], models: Sequence[EvaluatedModel],
    metric: str, seed: int, *, points: Sequence[OperatingPoint] = (), conformal: Sequence[ConformalSets] = (),
) -> Scores:  # fmt: skip
    """Return all scores of `models` on the images at `positions` (n,), from their probabilities (n, classes).

    Intervals are 95 % intervals, from a bootstrap of images, or of patients where the data set knows them.
    `points` and `conformal` are those of the ensemble, which were set before.
    """
    labels, names = dataset.labels[positions], dataset.class_names
    groups = None if dataset.groups is None else dataset.groups[positions]
    measured = {name: Predictions(table, labels, len(names)) for name, table in predictions.items()}
    draws = bootstrap(measured, resample_counts(len(labels), RESAMPLES, seed, groups))
    scores = {name: model.scores() for name, model in measured.items()}
    ensemble = measured[ENSEMBLE]
    columns = {name: column[positions] for name, column in dataset.subgroups.items()}
    subgroups = subgroup_scores(ensemble, columns, groups=groups)
    estimates = {
        name: {metric: estimate(model_scores[metric], draws[name][metric]) for metric in MODES}
        for name, model_scores in scores.items()
    }
    for by_metric in estimates.values():
        # A resample's own noise widens the gaps that are summed, so that this interval would be biased upwards.
        error = by_metric["calibration_error"]
        by_metric["calibration_error"] = Estimate(error.value, None, None, error.resamples_used)
    return Scores(
        seed=seed,
        metric=metric,
        images=len(labels),
        patients=None if groups is None else len(np.unique(groups)),
        class_names=tuple(names),
        resamples=RESAMPLES,
        models=tuple(ModelScores(model.name, len(model.members), estimates[model.name]) for model in models),
        comparisons=_comparisons(measured, scores, draws, metric, independent=groups is None),
        confusion_matrix=tuple(map(tuple, ensemble.confusion.tolist())),
        per_class=tuple(ensemble.per_class(names)),
        operating_points=tuple(PointOnTest.of(point, ensemble, groups) for point in points),
        conformal_sets=tuple(SetsOnTest.of(sets, ensemble, groups) for sets in conformal),
        subgroups={name: tuple(rows) for name, rows in subgroups.items()},
    )


def _comparisons(
    measured: Mapping[str, Predictions], scores: Mapping[str, Mapping[str, float]],
    draws: Mapping[str, Mapping[str, Array]], metric: str, *, independent: bool,
) -> tuple[EnsembleComparison, ...]:  # fmt: skip
    """Compare the ensemble with each other model, by the run's metric and by accuracy.

    McNemar's p is None unless the images are `independent`, as its test assumes.
    """
    comparisons = []
    metrics = list(dict.fromkeys([metric, "accuracy"]))
    for other, name in itertools.product(list(measured)[1:], metrics):
        result = compare_models(ENSEMBLE, other, name, scores, draws)
        p = None
        if name == "accuracy" and independent:
            p = mcnemar(measured[ENSEMBLE].correct, measured[other].correct).p
        comparisons.append(EnsembleComparison(**vars(result), verdict=verdict(result), mcnemar_p=p))
    return tuple(comparisons)
