"""The interval of what a search gained over its best baseline, on the validation images."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from medray._types import Array
from medray.config import METRICS
from medray.errors import MedrayError
from medray.runs.leaderboard import gain
from medray.runs.rundir import RunDir, read_predictions
from medray.runs.trial_record import TrialRecord
from medray.stats.bootstrap import bootstrap, resample_counts
from medray.stats.compare import PairedComparison, compare_models
from medray.stats.scores import Predictions

RESAMPLES = 500
BEST, BASELINE = "best trial", "best baseline"


def compare_gain(
    run: RunDir, records: Iterable[TrialRecord], metric: str, groups: Array | None
) -> PairedComparison | None:
    """Compare the best searched trial with the best baseline on validation, positive where it is better.

    `groups` (N,) are the patients of the validation images where known. None where there is not one of each, or
    the interval can't be had: too few images, or damaged predictions.
    """
    pair = gain(records, METRICS[metric])
    if pair is None:
        return None
    try:
        best, baseline = (read_measured(run, record) for record in (pair.best, pair.baseline))
        return paired_gain(best, baseline, metric, groups)
    except MedrayError:
        return None


def read_measured(run: RunDir, record: TrialRecord) -> Predictions:
    """Return a trial's predictions of the validation images; RunError where they are missing or damaged."""
    probabilities, labels = read_predictions(run.trial(record.number), record.best_epoch)
    return Predictions(probabilities, labels.astype(np.int64), probabilities.shape[1])


def paired_gain(best: Predictions, baseline: Predictions, metric: str, groups: Array | None) -> PairedComparison:
    """Compare predictions of the same images (N,), of patients `groups` (N,) where known.

    The difference is positive where `best` is better, whichever way the metric is.

    Raises:
        DataError: a patient is missing.
    """
    measured = {BEST: best, BASELINE: baseline}
    draws = bootstrap(measured, resample_counts(len(best), RESAMPLES, 0, groups))
    comparison = compare_models(BEST, BASELINE, metric, measured, draws, groups)
    low, high = comparison.low, comparison.high
    if METRICS[metric] == "max" or comparison.difference is None:
        return comparison
    ends = (None, None) if low is None or high is None else (-high, -low)
    return dataclasses.replace(comparison, difference=-comparison.difference, low=ends[0], high=ends[1])
