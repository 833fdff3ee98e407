"""The JSON documents of a run: run.json, data.json, trial.json, selection.json and those of a cross-validation."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray._types import Shape
from medray.audit.findings import Finding
from medray.config import METRICS
from medray.data.dataset import ImageDataset
from medray.errors import unknown_choice_line
from medray.json_document import JsonDocument
from medray.space.preparation import ASPECTS


@dataclass(frozen=True)
class ResolvedOptions(JsonDocument):
    """A search's options with every blank filled in: `data` is its source, `trials` counts the baselines too."""

    data: str
    trials: int
    max_epochs: int
    top_k: int
    seed: int
    concurrency: int | None
    baselines_only: bool


@dataclass(frozen=True)
class RunFacts(JsonDocument):
    """run.json: the name of the search space, the metric and options of the search, and the versions it ran with.

    `written` is the time, ISO 8601 in UTC; `packages` maps a package to its version.
    """

    medray: str
    space: str
    metric: str
    options: ResolvedOptions
    written: str
    python: str
    packages: dict[str, str]

    def check(self) -> None:
        """Check that the metric is known."""
        check_metric(self.metric)

    @property
    def mode(self) -> str:
        """`max` or `min`: which way the metric is better."""
        return METRICS[self.metric]


@dataclass(frozen=True)
class SplitFacts(JsonDocument):
    """The number of images of a split, in all and of each class."""

    images: int
    classes: tuple[int, ...]


@dataclass(frozen=True)
class DataFacts(JsonDocument):
    """data.json: what a run's data set is, and the leaks that were found in it when the search began.

    `shape` is height, width and channels of an image, `aspect` how images of another size are brought to it.
    `folds` and `patients` are numbers, None where the data set brings no folds or does not know the patients.
    """

    source: str
    notes: tuple[str, ...]
    fingerprint: str
    images: int
    shape: Shape
    aspect: str
    class_names: tuple[str, ...]
    folds: int | None
    subgroups: tuple[str, ...]
    patients: int | None
    splits: dict[str, SplitFacts]
    leaks: tuple[Finding, ...]

    @classmethod
    def of(cls, dataset: ImageDataset, leaks: tuple[Finding, ...] = ()) -> "DataFacts":
        """Return the facts of a data set in which `leaks` were found."""
        classes = len(dataset.class_names)
        return cls(
            source=dataset.source,
            notes=dataset.notes,
            fingerprint=dataset.fingerprint,
            images=len(dataset),
            shape=dataset.shape,
            aspect=dataset.aspect,
            class_names=dataset.class_names,
            folds=None if dataset.folds is None else len(dataset.folds),
            subgroups=tuple(sorted(dataset.subgroups)),
            patients=None if dataset.groups is None else len(np.unique(dataset.groups)),
            splits={
                name: SplitFacts(
                    len(positions), tuple(np.bincount(dataset.labels[positions], minlength=classes).tolist())
                )
                for name, positions in dataset.splits.items()
            },
            leaks=leaks,
        )

    def check(self) -> None:
        """Check that images can have that shape and aspect, and that every count is of the classes named."""
        check_images(self.shape, self.aspect)
        for name, split in self.splits.items():
            if len(split.classes) != len(self.class_names):
                raise ValueError(f"{len(split.classes)} counts of split '{name}', {len(self.class_names)} classes")


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
class SettingSummary(JsonDocument):
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


@dataclass(frozen=True)
class WeightedMember(JsonDocument):
    """One network of an ensemble: the trial, or one fold of its settings, that trained it, and its weight."""

    trial: int
    fold: int | None
    weight: float


SINGLE, TOP_K, GREEDY, ALL_FOLDS = "single", "top-k", "greedy", "folds"  # strategies of selection


def selection_title(strategy: str, source: str) -> str:
    """Return what people read for a selection by `strategy` from the candidates of `source`."""
    titles = {SINGLE: "best single trial", ALL_FOLDS: "folds of the best setting"}
    return titles.get(strategy, f"{strategy} of {source}")


@dataclass(frozen=True)
class SelectionFacts(JsonDocument):
    """One selection of an ensemble's members: by which strategy, from which candidates, and how good it is.

    `source` is "trials" or "folds". `images` are the images of `selected_on` ("val" or "out-of-fold"), from which
    the members, the temperature and all scores come; `scores` are those before the temperature.
    """

    strategy: str
    source: str
    selected_on: str
    images: int
    temperature: float
    members: tuple[WeightedMember, ...]
    scores: dict[str, float]
    calibrated_scores: dict[str, float]

    def check(self) -> None:
        """Check that there are members and that the temperature is above 0."""
        if not self.members:
            raise ValueError("it has no members")
        if self.temperature <= 0:
            raise ValueError(f"the temperature is {self.temperature}; it must be above 0")

    @property
    def title(self) -> str:
        """Strategy and source, as people read them."""
        return selection_title(self.strategy, self.source)


@dataclass(frozen=True)
class SelectionComparison(JsonDocument):
    """selection.json: every selection that was compared; `selected`, an index, is the ensemble's."""

    metric: str
    selected: int
    selections: tuple[SelectionFacts, ...]

    def check(self) -> None:
        """Check that the metric is known and the index is of a selection."""
        check_metric(self.metric)
        if not 0 <= self.selected < len(self.selections):
            raise ValueError(f"selected is {self.selected}, of {len(self.selections)} selections")

    @property
    def of_ensemble(self) -> SelectionFacts:
        """The selection that the ensemble was made of."""
        return self.selections[self.selected]


FINISHED, STOPPED, FAILED = STATES = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class TrialRecord(JsonDocument):
    """trial.json: how a trial ended.

    `state` is finished (its last epoch, or its patience, was reached), stopped (by ASHA) or failed; a trial
    without a trial.json is running. `objective` is the search's metric at `best_epoch`, whose weights are
    kept; `metrics` are all validation metrics at that epoch. `seconds` counts its epochs' own time.
    `worker_died`: it failed because its worker process died again and again, not by itself.
    """

    number: int
    state: str
    baseline: str | None = None
    reason: str | None = None
    objective: float | None = None
    best_epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    ended_by: str | None = None
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    parameters: int = 0
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    traceback: str | None = None
    worker_died: bool = False

    def check(self) -> None:
        """Check that the state is one in which a trial ends."""
        if self.state not in STATES:
            raise ValueError(unknown_choice_line("state", self.state, STATES))


def check_metric(metric: str) -> None:
    """Check that a search can have the metric.

    Raises:
        ValueError: it can't; the message names all that it can have.
    """
    if metric not in METRICS:
        raise ValueError(unknown_choice_line("metric", metric, METRICS))


def check_images(shape: Shape, aspect: str) -> None:
    """Check shape (H, W, C) and aspect of the images that networks are trained on.

    Raises:
        ValueError: no images have that shape, or the aspect is unknown.
    """
    if min(shape) < 1 or shape[2] not in (1, 3):
        raise ValueError(f"images of shape {list(shape)}")
    if aspect not in ASPECTS:
        raise ValueError(unknown_choice_line("aspect", aspect, ASPECTS))
