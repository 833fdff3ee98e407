"""The JSON documents of a cross-validation: plan.json, the summary.json of each setting, and nested ones."""

from dataclasses import dataclass

from medray.console_tables import interval, metric_title
from medray.json_document import JsonDocument
from medray.runs.run_facts import check_metric
from medray.stats.compare import PairedComparison


@dataclass(frozen=True)
class CrossvalPlan(JsonDocument):
    """crossval/plan.json: which `trials`' settings are trained on how many folds; `data` is the fingerprint.

    `seed` is that of the folds and of each fold's training. `folds` is None only until the folds are made. So many
    trials of the search had ended when settings were selected last: `of_trials`.
    """

    metric: str
    folds: int | None
    seed: int
    trials: tuple[int, ...]
    data: str
    of_trials: int

    def check(self) -> None:
        """Check that the metric is known and the folds are counted."""
        check_metric(self.metric)
        if self.folds is None:
            raise ValueError("folds is null")


@dataclass(frozen=True)
class FoldSummary(JsonDocument):
    """How one fold of a setting ended: the validation metrics and the confusion matrix at its best epoch.

    Both are of the `cases` that its `images` make, where the run has cases.
    """

    fold: int
    images: int
    best_epoch: int
    epochs: int
    seconds: float
    metrics: dict[str, float]
    confusion_matrix: tuple[tuple[int, ...], ...]
    cases: int | None = None


@dataclass(frozen=True)
class CrossvalSummary(JsonDocument):
    """crossval/0007/summary.json: the folds of trial 7's settings, mean and standard deviation over them.

    `out_of_fold` are the metrics of all `images` together, each predicted by a model that did not train on it, or
    of the `cases` that these make.
    """

    trial: int
    folds: tuple[FoldSummary, ...]
    mean: dict[str, float]
    std: dict[str, float]
    out_of_fold: dict[str, float]
    images: int
    class_names: tuple[str, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    cases: int | None = None


@dataclass(frozen=True)
class BaselineGain(JsonDocument):
    """crossval/gain.json: the settings of trial `best` against the `baseline`, on the out-of-fold predictions."""

    best: int
    baseline: str
    comparison: PairedComparison

    @property
    def line(self) -> str:
        """A sentence that gives the difference with its interval, or says why there is none."""
        metric, difference = metric_title(self.comparison.metric), interval(self.comparison, sign=True)
        reason = "" if self.comparison.low is not None else " (no interval: too few images or patients of a class)"
        return (
            f"Over the best baseline ({self.baseline}) the best setting (trial {self.best}) gained {difference} "
            f"{metric} out of fold{reason}. Both were selected on images of these folds."
        )


@dataclass(frozen=True)
class NestedPlan(JsonDocument):
    """crossval/nested/plan.json: the search that is run inside each of the outer `folds`, and its ensemble.

    The search has so many `trials` of at most `max_epochs`, or `hours`, and may stop when flat; the ensemble is of
    its `top_k` best. `seed` is that of the folds and of each fold's search. `data` is the fingerprint of the run's
    data set.
    """

    metric: str
    folds: int
    seed: int
    trials: int | None
    max_epochs: int
    top_k: int
    baselines_only: bool
    data: str
    hours: float | None = None
    stop_when_flat: bool = False

    def check(self) -> None:
        """Check that the metric is known."""
        check_metric(self.metric)


@dataclass(frozen=True)
class NestedFold(JsonDocument):
    """crossval/nested/fold_0/fold.json: what a search inside the fold selected, and its scores.

    `images` are those that the fold holds out, `train` and `val` those that its search used. `best_trial` is the
    best on `val`, `members` the trials of the ensemble, whose `temperatures` were fitted on the split
    `calibrated_on`. The scores are metrics of the ensemble and of the best trial alone, on `val`, which selected
    them, and held out.
    """

    fold: int
    train: int
    val: int
    images: int
    best_trial: int
    members: tuple[int, ...]
    temperatures: tuple[float, ...]
    calibrated_on: str
    val_scores: dict[str, float]
    held_out_scores: dict[str, float]
    best_trial_val_scores: dict[str, float]
    best_trial_held_out_scores: dict[str, float]
