"""What a run's baselines say of training, validation, held-out and test images, as the run has stored it."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from medray._types import Array
from medray.ensemble.averaging import average
from medray.errors import RunError
from medray.evaluate.evaluated_models import baseline_name
from medray.evaluate.test_reads import Reading, undamaged
from medray.runs.finished_search import SearchedRun
from medray.runs.fold_results import SUMMARY
from medray.runs.rundir import FAILED, TrialRecord, read_predictions
from medray.space.published import FOLDS, TEST, TRAIN, VAL, PublishedModel

Answer = tuple[Array, Array]  # probabilities float32 (n, classes), labels int64 (n,)


class OwnAnswers:
    """Stored answers: of trials on validation, of folds on what they hold out, of a reading on test and train."""

    def __init__(self, searched: SearchedRun, reading: Reading) -> None:
        self.run, self.reading = searched.run, reading
        self.records = {record.baseline: record for record in searched.records if record.baseline}

    def of(self, model: PublishedModel, split: str) -> list[Answer]:
        """One answer of the model, or one for each fold.

        Raises:
            RunError: a baseline failed, was not run or not measured on the split, or its file is damaged.
        """
        if not model.average_of:
            return self._of(model.name, split)
        each = []
        for name in model.average_of:
            try:
                each.append(self._of(name, split))
            except RunError as error:
                raise RunError(f"{name}: {error}") from None
        return [_averaged(same) for same in zip(*each, strict=True)]

    def _of(self, baseline: str, split: str) -> list[Answer]:
        record = self.records.get(baseline)
        if record is None:
            raise RunError("not run; --baselines-only runs every baseline")
        if record.state == FAILED or record.objective is None:
            raise RunError(f"failed (trial {record.number}): {record.reason}")
        if split == VAL:
            return [read_predictions(self.run.trial(record.number), record.best_epoch)]
        return self._on_folds(record) if split == FOLDS else self._on_read(split, record)

    @cached_property
    def _read(self) -> dict[str, tuple[dict[str, Array], Array]]:
        return {split: self.reading.predictions(split) for split in (TRAIN, TEST) if self.reading.has(split)}

    def _on_read(self, split: str, record: TrialRecord) -> list[Answer]:
        models, labels = self._read.get(split, ({}, np.empty(0)))
        if baseline_name(record) not in models:
            raise RunError(f"not measured on {split} in reading {self.reading.number} of the test split")
        return [(models[baseline_name(record)], labels)]

    def _on_folds(self, record: TrialRecord) -> list[Answer]:
        home = self.run.crossval.child(f"{record.number:04d}")
        if not home.exists(SUMMARY):
            raise RunError(f"not cross-validated; medray crossval --trial {record.number} does it")
        with undamaged(home.path(SUMMARY)):
            folds = [(int(fold["fold"]), int(fold["best_epoch"])) for fold in home.read_json(SUMMARY)["folds"]]
        return [read_predictions(self.run.fold(record.number, fold), epoch) for fold, epoch in folds]


def _averaged(answers: Sequence[Answer]) -> Answer:
    labels = answers[0][1]
    if any(not np.array_equal(own, labels) for _, own in answers):
        raise RunError("the baselines were measured on other images than one another")
    return average([probabilities for probabilities, _ in answers]), labels
