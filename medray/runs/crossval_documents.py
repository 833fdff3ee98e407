"""The JSON documents of a cross-validation: plan.json, and the summary.json of each setting."""

from dataclasses import dataclass

from medray.json_document import JsonDocument
from medray.runs.run_facts import check_metric


@dataclass(frozen=True)
class CrossvalPlan(JsonDocument):
    """crossval/plan.json: which `trials`' settings are trained on how many folds; `data` is the fingerprint.

    `seed` is that of the folds and of each fold's training. `folds` is None only until the folds are made.
    """

    metric: str
    folds: int | None
    seed: int
    trials: tuple[int, ...]
    data: str

    def check(self) -> None:
        """Check that the metric is known and the folds are counted."""
        check_metric(self.metric)
        if self.folds is None:
            raise ValueError("folds is null")


@dataclass(frozen=True)
class FoldSummary(JsonDocument):
    """How one fold of a setting ended: the validation metrics and the confusion matrix at its best epoch."""

    fold: int
    images: int
    best_epoch: int
    epochs: int
    seconds: float
    metrics: dict[str, float]
    confusion_matrix: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class CrossvalSummary(JsonDocument):
    """crossval/0007/summary.json: the folds of trial 7's settings, mean and standard deviation over them.

    `out_of_fold` are the metrics of all `images` together, each predicted by a model that did not train on it.
    """

    trial: int
    folds: tuple[FoldSummary, ...]
    mean: dict[str, float]
    std: dict[str, float]
    out_of_fold: dict[str, float]
    images: int
    class_names: tuple[str, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
