"""Results of a cross-validation: join the folds of a setting image by image, write them, and read them back.

crossval/plan.json                  trials, metric and seed; written at each start
crossval/folds.json                 positions of each fold's images; written once
crossval/0007/fold_3/               files as of a trial: trial 7's settings trained on fold 3
crossval/0007/out_of_fold.npz       each pool image's probabilities by a model that was not trained on it
crossval/0007/summary.json          scores of each fold, mean and standard deviation; written last
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.data.folds import Folds
from medray.errors import RunError
from medray.runs.crossval_documents import CrossvalSummary, FoldSummary
from medray.runs.folder import read_arrays
from medray.runs.rundir import RunDir, TrialDir, check_predictions, read_outputs, read_predictions, read_scores
from medray.runs.trial_record import FAILED, TrialRecord
from medray.stats.case_rule import ATTENTION, CaseRule
from medray.stats.cases import CaseIndex
from medray.stats.score_names import METRICS


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation of a metric over folds."""

    mean: float
    std: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "MeanStd":
        """Return mean and deviation of one value a fold; the deviation of a single value is 0."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)


@dataclass(frozen=True)
class CrossvalTrial:
    """One setting trained on every fold.

    `probabilities` float32 (n, classes) are of the images at `positions` (n,) in the data set, each by the models
    that did not see it, with `labels` (n,); `records` are those of the folds, in their order. `cases` are those of
    the images where a case of several has one answer, and `scores` (n,) those of its attention.
    """

    number: int
    records: tuple[TrialRecord, ...]
    positions: Array
    labels: Array
    probabilities: Array
    cases: CaseIndex | None = None
    scores: Array | None = None

    @property
    def answers(self) -> Array:
        """The answers to cases, float32 (m, classes), or else to the images."""
        return self.probabilities if self.cases is None else self.cases.answers(self.probabilities, self.scores)

    @property
    def answered_labels(self) -> Array:
        """The labels of the cases, int64 (m,), or else of the images."""
        return self.labels if self.cases is None else self.cases.labels(self.labels)

    @property
    def objective(self) -> float:
        """Mean over folds of the run's metric."""
        return float(np.mean([record.objective for record in self.records]))

    def spread(self, metric: str) -> MeanStd | None:
        """Return mean and deviation over folds, None where a fold lacks the metric."""
        values = [record.metrics[metric] for record in self.records if metric in record.metrics]
        return MeanStd.of(values) if len(values) == len(self.records) else None


def pool_folds(
    run: RunDir, number: int, folds: Folds, labels: Array, cases: CaseIndex | None = None
) -> CrossvalTrial | str:
    """Join the folds of one trial, or return a text that says why that can't be done.

    An image that several folds hold out gets the mean of their models' probabilities, and of scores. `cases` are
    those of all images.
    """
    records = [run.fold(number, fold).record() for fold in range(len(folds))]
    waiting = [str(i) for i, record in enumerate(records) if record is None]
    if waiting:
        return f"fold {', '.join(waiting)} not yet done"
    ended = tuple(record for record in records if record is not None)
    for i, record in enumerate(ended):
        if record.state == FAILED:
            return f"fold {i} failed: {record.reason}"
    positions = folds.held_out
    rule = None if cases is None else cases.rule
    total, scores, count = np.zeros(0), np.zeros(len(positions)), np.zeros(len(positions))
    for i, fold in enumerate(folds.folds):
        outputs, fold_labels = read_outputs(run.fold(number, i), ended[i].best_epoch, rule)
        if not np.array_equal(fold_labels, labels[fold.val]):
            raise RunError(f"{run.fold(number, i).path(TrialDir.PREDICTIONS)} is of other images than fold {i}")
        rows = np.searchsorted(positions, fold.val)
        if not total.size:
            total = np.zeros((len(positions), outputs.probabilities.shape[1]))
        total[rows] += outputs.probabilities
        scores[rows] += 0 if outputs.scores is None else outputs.scores
        count[rows] += 1
    probabilities = (total / count[:, None]).astype(np.float32)
    own_cases = None if cases is None else cases.at(positions)
    attention = None if rule is None or rule.answer != ATTENTION else (scores / count).astype(np.float32)
    return CrossvalTrial(number, ended, positions, labels[positions], probabilities, own_cases, attention)


def write_crossval_trial(run: RunDir, trial: CrossvalTrial, class_names: Sequence[str]) -> None:
    """Write a setting's out-of-fold predictions of images, then its summary, by case where there are cases."""
    from medray.stats.label_set_predictions import predictions_of
    from medray.stats.metrics import defined_metrics

    folder = run.crossval.trial(trial.number)
    stream = io.BytesIO()
    arrays = {"positions": trial.positions, "labels": trial.labels, "probabilities": trial.probabilities}
    arrays |= {} if trial.cases is None else {"cases": trial.cases.numbers}
    arrays |= {} if trial.scores is None else {"attention": trial.scores}
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    folder.write(run.crossval.PREDICTIONS, stream.getvalue())
    predictions = predictions_of(trial.answers, trial.answered_labels, len(class_names))
    scores = {name: value for name, value in predictions.scores().items() if name in METRICS}
    spreads = {metric: trial.spread(metric) for metric in METRICS}
    summary = CrossvalSummary(
        trial=trial.number,
        folds=tuple(_fold_summary(run, trial, i, len(class_names)) for i in range(len(trial.records))),
        mean={metric: spread.mean for metric, spread in spreads.items() if spread},
        std={metric: spread.std for metric, spread in spreads.items() if spread},
        out_of_fold=defined_metrics(scores),
        images=len(trial.labels),
        class_names=tuple(class_names),
        confusion_matrix=tuple(map(tuple, predictions.confusion.tolist())),
        cases=None if trial.cases is None else len(predictions),
    )
    folder.write_json(run.crossval.SUMMARY, summary.to_dict())


def _fold_summary(run: RunDir, trial: CrossvalTrial, fold: int, classes: int) -> FoldSummary:
    from medray.stats.label_set_predictions import predictions_of

    record, rule = trial.records[fold], None if trial.cases is None else trial.cases.rule
    folder = run.fold(trial.number, fold)
    answers, labels = read_predictions(folder, record.best_epoch, rule)
    matrix = predictions_of(answers, labels, classes).confusion
    images = len(labels if rule is None else read_predictions(folder, record.best_epoch)[1])
    return FoldSummary(
        fold, images, record.best_epoch, record.epochs, record.seconds, record.metrics,
        tuple(map(tuple, matrix.tolist())), None if rule is None else len(labels),
    )  # fmt: skip


def read_crossval_trials(run: RunDir, cases: CaseRule | None = None) -> list[CrossvalTrial]:
    """Read all settings whose folds are finished, best first; none where there is no cross-validation.

    `cases` is the rule of the run's cases, if it has any.

    Raises:
        RunError: a file is missing or damaged.
    """
    crossval = run.crossval
    if not crossval.exists(crossval.PLAN):
        return []
    plan, folds = crossval.read_plan(), crossval.read_folds()
    finished = [number for number in plan.trials if crossval.trial(number).exists(crossval.SUMMARY)]
    trials = [_read_trial(run, number, folds, cases) for number in finished]
    sign = -1 if METRICS[plan.metric] == "max" else 1
    return sorted(trials, key=lambda trial: (sign * trial.objective, trial.number))


def _read_trial(run: RunDir, number: int, folds: Folds, rule: CaseRule | None) -> CrossvalTrial:
    crossval, folder = run.crossval, run.crossval.trial(number)
    path = folder.path(crossval.PREDICTIONS)
    positions, labels, probabilities = read_arrays(
        folder, crossval.PREDICTIONS, "positions", "labels", "probabilities"
    )
    check_predictions(path, probabilities, labels)
    if not np.array_equal(positions, folds.held_out):
        raise RunError(f"{path} is of other images than {crossval.path(crossval.FOLDS)} holds out")
    records = [run.fold(number, fold).record() for fold in range(len(folds))]
    ended = tuple(r for r in records if r is not None and r.state != FAILED and r.objective is not None)
    if len(ended) < len(folds):
        raise RunError(f"{folder.location}: one of its folds is missing: cross-validate with --resume")
    if rule is None:
        return CrossvalTrial(number, ended, positions, labels, probabilities)
    (numbers,) = read_arrays(folder, crossval.PREDICTIONS, "cases")
    if numbers.shape != positions.shape:
        raise RunError(f"{path} is damaged: its cases are not those of {len(positions)} images")
    scores = read_scores(folder, crossval.PREDICTIONS, rule, len(positions))
    return CrossvalTrial(number, ended, positions, labels, probabilities, CaseIndex(rule, numbers), scores)
