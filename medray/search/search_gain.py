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
    mode = METRICS[metric]
    pair = gain(records, mode)
    if pair is None:
        return None
    try:
        measured = {}
        for name, record in ((BEST, pair.best), (BASELINE, pair.baseline)):
            probabilities, labels = read_predictions(run.trial(record.number), record.best_epoch)
            measured[name] = Predictions(probabilities, labels.astype(np.int64), probabilities.shape[1])
        draws = bootstrap(measured, resample_counts(len(measured[BEST]), RESAMPLES, 0, groups))
        comparison = compare_models(BEST, BASELINE, metric, measured, draws, groups)
    except MedrayError:
        return None
    if mode == "max" or comparison.difference is None or comparison.low is None or comparison.high is None:
        return comparison
    return dataclasses.replace(
        comparison, difference=-comparison.difference, low=-comparison.high, high=-comparison.low
    )
