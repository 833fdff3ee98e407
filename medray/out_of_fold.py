"""What a cross-validation leaves behind, read back: fold by fold, and put together image by image.

crossval/plan.json                  settings, metric and seed; written once
crossval/folds.json                 who is held out where; written once
crossval/0007/fold_3/               the files of a trial, of trial 7's settings on fold 3
crossval/0007/out_of_fold.npz       each pool image's probabilities by a model that was not trained on it
crossval/0007/summary.json          scores of each fold, mean and standard deviation; written last
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray.config import METRICS
from medray.data.dataset import Array
from medray.data.splits import Folds
from medray.errors import RunError
from medray.runs import FAILED, RunDir, TrialDir, TrialRecord

PLAN, FOLDS, SUMMARY, PREDICTIONS = "plan.json", "folds.json", "summary.json", "out_of_fold.npz"
SCORES, ISSUES, SHEET = "scores.csv", "label_issues.csv", "label_issues.png"


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of a metric over folds."""

    mean: float
    std: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of one value a fold; the deviation of a single one is 0."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)


@dataclass(frozen=True)
class FoldedSetting:
    """One setting trained on every fold.

    `probabilities` float32 (n, classes) are of the images at `positions` (n,) in the data set, each by the models
    that did not see it, with `labels` (n,); `records` are those of the folds, in their order.
    """

    number: int
    records: tuple[TrialRecord, ...]
    positions: Array
    labels: Array
    probabilities: Array

    @property
    def objective(self) -> float:
        """Mean over folds of the run's metric."""
        return float(np.mean([record.objective for record in self.records]))

    def spread(self, metric: str) -> Spread | None:
        """Mean and deviation over folds; None where a fold lacks the metric."""
        values = [record.metrics[metric] for record in self.records if metric in record.metrics]
        return Spread.of(values) if len(values) == len(self.records) else None


def read_probabilities(folder: TrialDir, best_epoch: int) -> Array:
    """Return the probabilities of the images that a training was measured on, float32 (n, classes).

    Raises:
        RunError: they are missing, damaged, or of another epoch than `best_epoch`.
    """
    name = folder.path(folder.PREDICTIONS)
    try:
        with np.load(io.BytesIO(folder.read(folder.PREDICTIONS)), allow_pickle=False) as file:
            probabilities: Array = file["probabilities"]
            epoch = int(file["epoch"])
    except (FileNotFoundError, ValueError, KeyError, OSError) as error:
        raise RunError(f"{name} can't be read: {error}") from None
    if epoch != best_epoch or not np.isfinite(probabilities).all():
        raise RunError(f"{name} is damaged: it is of epoch {epoch}, the trial's best is {best_epoch}")
    return probabilities


def join_folds(run: RunDir, number: int, folds: Folds, labels: Array) -> FoldedSetting | str:
    """Put the folds of one setting together; a text says why that can't be done.

    An image that several folds hold out has the mean of what their models say.
    """
    records = [run.fold(number, fold).record() for fold in range(len(folds))]
    waiting = [str(i) for i, record in enumerate(records) if record is None]
    if waiting:
        return f"fold {', '.join(waiting)} not yet done"
    whole = tuple(record for record in records if record is not None)
    for i, record in enumerate(whole):
        if record.state == FAILED:
            return f"fold {i} failed: {record.reason}"
    positions = folds.held_out
    total, count = np.zeros(0), np.zeros(len(positions))
    for i, fold in enumerate(folds.folds):
        own = read_probabilities(run.fold(number, i), whole[i].best_epoch)
        if len(own) != len(fold.val):
            raise RunError(f"{run.fold(number, i).path(TrialDir.PREDICTIONS)} is of other images than fold {i}")
        rows = np.searchsorted(positions, fold.val)
        if not total.size:
            total = np.zeros((len(positions), own.shape[1]))
        total[rows] += own
        count[rows] += 1
    probabilities = (total / count[:, None]).astype(np.float32)
    return FoldedSetting(number, whole, positions, labels[positions], probabilities)


def write_setting(run: RunDir, setting: FoldedSetting, class_names: Sequence[str]) -> None:
    """Write a setting's out-of-fold predictions, then its summary."""
    from medray.training.metrics import confusion_matrix, defined, evaluate

    home = run.crossval.child(f"{setting.number:04d}")
    stream = io.BytesIO()
    np.savez(
        stream, positions=setting.positions, labels=setting.labels, probabilities=setting.probabilities
    )  # fmt: skip
    home.write(PREDICTIONS, stream.getvalue())
    matrix = confusion_matrix(setting.labels, setting.probabilities.argmax(axis=1), len(class_names))
    spreads = {metric: setting.spread(metric) for metric in METRICS}
    summary: dict[str, Any] = {
        "trial": setting.number,
        "folds": [_fold_summary(run, setting, i, len(class_names)) for i in range(len(setting.records))],
        "mean": {metric: spread.mean for metric, spread in spreads.items() if spread},
        "std": {metric: spread.std for metric, spread in spreads.items() if spread},
        "out_of_fold": defined(evaluate(setting.probabilities, setting.labels)),
        "images": len(setting.labels),
        "class_names": list(class_names),
        "confusion_matrix": matrix.tolist(),
    }
    home.write_json(SUMMARY, summary)


def _fold_summary(run: RunDir, setting: FoldedSetting, fold: int, classes: int) -> dict[str, Any]:
    from medray.training.metrics import confusion_matrix

    record, folder = setting.records[fold], run.fold(setting.number, fold)
    with np.load(io.BytesIO(folder.read(folder.PREDICTIONS)), allow_pickle=False) as file:
        predicted, labels = file["probabilities"].argmax(axis=1), file["labels"]
    return {
        "fold": fold,
        "images": len(labels),
        "best_epoch": record.best_epoch,
        "epochs": record.epochs,
        "seconds": record.seconds,
        "metrics": record.metrics,
        "confusion_matrix": confusion_matrix(labels, predicted, classes).tolist(),
    }


def read_settings(run: RunDir) -> list[FoldedSetting]:
    """Read all settings whose cross-validation is whole, best first; none where there is no cross-validation.

    Raises:
        RunError: a file is missing or damaged.
    """
    if not run.crossval.exists(PLAN):
        return []
    plan = run.crossval.read_json(PLAN)
    folds = Folds.from_dict(run.crossval.read_json(FOLDS), run.crossval.path(FOLDS))
    found = []
    for number in plan["trials"]:
        home = run.crossval.child(f"{number:04d}")
        if not home.exists(SUMMARY):
            continue
        records = tuple(run.fold(number, fold).record() for fold in range(len(folds)))
        name = home.path(PREDICTIONS)
        try:
            with np.load(io.BytesIO(home.read(PREDICTIONS)), allow_pickle=False) as file:
                positions, labels, probabilities = (file[k] for k in ("positions", "labels", "probabilities"))
        except (FileNotFoundError, ValueError, KeyError, OSError) as error:
            raise RunError(f"{name} can't be read: {error}") from None
        whole = tuple(record for record in records if record is not None)
        if len(whole) < len(folds) or not np.isfinite(probabilities).all():
            raise RunError(f"{name} is damaged, or a fold beside it was taken away: cross-validate with --resume")
        found.append(FoldedSetting(number, whole, positions, labels, probabilities))
    sign = -1 if METRICS[plan["metric"]] == "max" else 1
    return sorted(found, key=lambda setting: (sign * setting.objective, setting.number))
