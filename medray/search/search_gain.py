"""The intervals of what a search gained over its best baseline, on the validation images."""

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from medray._types import Array
from medray.ensemble.averaging import average
from medray.errors import MedrayError
from medray.runs.leaderboard import gain
from medray.runs.rundir import RunDir, read_predictions
from medray.runs.trial_record import TrialRecord
from medray.stats.bootstrap import bootstrap, resample_counts
from medray.stats.case_rule import CaseRule
from medray.stats.compare import PairedComparison, compare_models
from medray.stats.label_set_predictions import AnyPredictions, predictions_of
from medray.stats.score_intervals import score_interval
from medray.stats.score_names import METRICS

RESAMPLES = 500
BEST, BASELINE = "best trial", "best baseline"


def compare_gain(
    run: RunDir, records: Iterable[TrialRecord], metric: str, groups: Array | None, cases: CaseRule | None = None
) -> PairedComparison | None:
    """Compare the best searched trial with the best baseline on validation, positive where it is better.

    `groups` (N,) are the patients of the validation images, or of the cases that these make by a rule, where
    known. None where there is not one of each, or their predictions are damaged.
    """
    records = list(records)
    pair = gain(records, METRICS[metric])
    if pair is None:
        return None
    models = {BEST: {pair.best.number: 1.0}}
    return compare_on_validation(run, records, pair.baseline.number, models, metric, groups, cases).get(BEST)


def standard_error(
    run: RunDir, metric: str, groups: Array | None, cases: CaseRule | None, record: TrialRecord
) -> float | None:
    """Return the standard error of a trial's `metric` on validation, None where images or patients are too few.

    It is that of the normal interval as wide as the metric's own, 95 % one. `groups` as in `compare_gain`.
    """
    try:
        table, labels = read_predictions(run.trial(record.number), record.best_epoch, cases)
        predictions = predictions_of(table, labels.astype(np.int64), table.shape[1])
        interval = score_interval(metric, predictions, groups)
    except MedrayError:
        return None
    return None if interval.low is None or interval.high is None else (interval.high - interval.low) / (2 * 1.96)


def compare_on_validation(
    run: RunDir,
    records: Iterable[TrialRecord],
    baseline: int,
    models: Mapping[str, Mapping[int, float]],
    metric: str,
    groups: Array | None,
    cases: CaseRule | None = None,
) -> dict[str, PairedComparison]:
    """Compare models with the trial `baseline` on validation, each positive where it is better.

    A model is the average of trials, given by the weight of each. One is left out where predictions are damaged,
    missing or of other images; ends are None where images or patients of a class are too few.
    """
    epochs = {record.number: record.best_epoch for record in records}
    measured: dict[str, AnyPredictions] = {}
    for name, weights in {BASELINE: {baseline: 1.0}, **models}.items():
        with contextlib.suppress(MedrayError, KeyError):
            predicted = [read_predictions(run.trial(number), epochs[number], cases) for number in weights]
            tables, labels = [table for table, _ in predicted], predicted[0][1].astype(np.int64)
            if len({table.shape for table in tables}) == 1 and all((own == labels).all() for _, own in predicted):
                sets = labels.ndim == 2
                mean = tables[0] if len(tables) == 1 else average(tables, list(weights.values()), label_sets=sets)
                measured[name] = predictions_of(mean, labels, mean.shape[1])
    if BASELINE not in measured:
        return {}
    labels = measured[BASELINE].labels
    measured = {name: own for name, own in measured.items() if np.array_equal(own.labels, labels)}
    try:
        return {name: paired_gain(measured, name, metric, groups) for name in models if name in measured}
    except MedrayError:
        return {}


def paired_gain(
    measured: Mapping[str, AnyPredictions], name: str, metric: str, groups: Array | None
) -> PairedComparison:
    """Compare the predictions called `name` with those called `BASELINE`, of the same images (N,).

    `groups` (N,) are their patients where known. The difference is positive where `name` is better, whichever way
    the metric is; its ends are None where images or patients of a class are too few.

    Raises:
        DataError: a patient is missing.
    """
    draws = None
    if metric == "calibration_error":  # the only metric whose interval is the bootstrap's
        draws = bootstrap(measured, resample_counts(len(measured[name]), RESAMPLES, 0, groups))
    pair = compare_models(name, BASELINE, metric, measured, draws, groups)
    if METRICS[metric] == "max":
        return pair
    difference, low, high = (None if end is None else -end for end in (pair.difference, pair.high, pair.low))
    return dataclasses.replace(pair, difference=difference, low=low, high=high)
