"""Stored predictions of a run's baselines on training, validation, held-out and test images."""

import numpy as np

from medray._types import Array
from medray.ensemble.averaging import average
from medray.errors import RunError
from medray.evaluate.evaluated_models import baseline_name
from medray.evaluate.test_reads import TestRead
from medray.runs.finished_search import FinishedSearch
from medray.runs.rundir import read_predictions
from medray.runs.trial_record import FAILED
from medray.space.published import FOLDS, VAL, PublishedModel

Predicted = tuple[Array, Array]  # probabilities float32 (n, classes), labels int64 (n,)


class StoredPredictions:
    """Predictions of trials on validation, of folds on what they hold out, of one read on test and train."""

    def __init__(self, search: FinishedSearch, read: TestRead) -> None:
        self.run, self.read, self.cases = search.run, read, search.data.cases
        self.records = {record.baseline: record for record in search.records if record.baseline}

    def of_model(self, model: PublishedModel, split: str) -> list[Predicted]:
        """Return the model's predictions on a split: one pair of arrays, or one for each fold.

        Raises:
            RunError: a baseline failed, was not run or not measured on the split, or its file is damaged.
        """
        if not model.average_of:
            return self._of_baseline(model.name, split)
        by_baseline = []
        for name in model.average_of:
            try:
                by_baseline.append(self._of_baseline(name, split))
            except RunError as error:
                raise RunError(f"{name}: {error}") from None
        means = []
        for predicted in zip(*by_baseline, strict=True):
            labels = predicted[0][1]
            if any(not np.array_equal(others, labels) for _, others in predicted):
                raise RunError("the baselines were measured on different images")
            means.append((average([probabilities for probabilities, _ in predicted]), labels))
        return means

    def _of_baseline(self, baseline: str, split: str) -> list[Predicted]:
        record = self.records.get(baseline)
        if record is None:
            raise RunError("not run; --baselines-only runs every baseline")
        if record.state == FAILED or record.objective is None:
            raise RunError(f"failed (trial {record.number}): {record.reason}")
        if split == VAL:
            return [read_predictions(self.run.trial(record.number), record.best_epoch, self.cases)]
        if split == FOLDS:
            crossval = self.run.crossval
            if not crossval.trial(record.number).exists(crossval.SUMMARY):
                raise RunError(f"not cross-validated; medray crossval --trial {record.number} does it")
            folds = crossval.read_summary(record.number).folds
            return [
                read_predictions(crossval.fold(record.number, fold.fold), fold.best_epoch, self.cases)
                for fold in folds
            ]
        models, labels = self.read.predictions(split) if self.read.has_predictions(split) else ({}, np.empty(0))
        if baseline_name(record) not in models:
            raise RunError(f"not measured on {split} in read {self.read.number} of the test split")
        return [(models[baseline_name(record)], labels)]
