"""RunFacts and DataFacts: the content of run.json and data.json, which describe a search and its data set."""

from dataclasses import dataclass, field

import numpy as np

from medray._types import Shape
from medray.audit.findings import Finding
from medray.data.dataset import ImageDataset, LabelledImages
from medray.data.members import label_counts
from medray.errors import unknown_choice_line
from medray.json_document import JsonDocument
from medray.runs.trial_record import FLAT, TIME
from medray.space.preparation import ASPECTS
from medray.stats.case_rule import CaseRule
from medray.stats.score_names import METRICS
from medray.tasks import TASKS
from medray.text import first_names


@dataclass(frozen=True)
class ResolvedOptions(JsonDocument):
    """A search's options with every blank filled in: `data` is its source, `trials` counts the baselines too.

    `trials` is None where only `hours`, the wall time of all commands of the search, bound it. `warm_start` has
    the folders of earlier runs, whose trials warm_start.json holds. `without` are backbones of the space that are
    not drawn, since their published weights could not be had when the search began.
    """

    data: str
    trials: int | None
    max_epochs: int
    top_k: int
    seed: int
    concurrency: int | None
    baselines_only: bool
    hours: float | None = None
    stop_when_flat: bool = False
    warm_start: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def check(self) -> None:
        """Check that the search is bounded."""
        if self.trials is None and self.hours is None:
            raise ValueError("neither trials nor hours bound the search")


@dataclass(frozen=True)
class SearchState(JsonDocument):
    """search.json: the wall time in `seconds` that all commands of a search have used, and why it has ended.

    `ended_by` is time or flat; None while trials are left, and where all that were asked for have ended.
    """

    seconds: float = 0.0
    ended_by: str | None = None

    def check(self) -> None:
        """Check that a search can end like that."""
        if self.ended_by not in (None, TIME, FLAT):
            raise ValueError(unknown_choice_line("end", self.ended_by, (TIME, FLAT)))


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
    """The number of images of a split, in all and of each class.

    `cases` is the number of cases of several images that it is answered by, None where each image is.
    """

    images: int
    classes: tuple[int, ...]
    cases: int | None = None

    @classmethod
    def of(cls, images: LabelledImages) -> "SplitFacts":
        """Return the facts of a split's images."""
        cases = None if images.own_cases is None else len(images.own_cases)
        return cls(len(images), tuple(images.class_counts().tolist()), cases)


@dataclass(frozen=True)
class DataFacts(JsonDocument):
    """data.json: what a run's data set is, and the leaks that were found in it when the search began.

    `shape` is height, width and channels of an image, `aspect` how images of another size are brought to it.
    `folds` and `patients` are numbers, None where the data set brings no folds or does not know the patients.
    `cases` says how images become cases, None where each image is answered by itself. `label_counts` are, by
    split, the numbers of images with no label, one and several; empty where each is of one class.
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
    cases: CaseRule | None = None
    label_counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: ImageDataset, leaks: tuple[Finding, ...] = ()) -> "DataFacts":
        """Return the facts of a data set in which `leaks` were found."""
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
            splits={name: SplitFacts.of(dataset.at(positions)) for name, positions in dataset.splits.items()},
            leaks=leaks,
            cases=dataset.case_rule,
            label_counts={
                name: label_counts(dataset.labels[positions])
                for name, positions in (dataset.splits if dataset.has_label_sets else {}).items()
            },
        )

    def check(self) -> None:
        """Check that images can have that shape and aspect, and that every count is of the classes named."""
        check_images(self.shape, self.aspect)
        for name, split in self.splits.items():
            if len(split.classes) != len(self.class_names):
                raise ValueError(f"{len(split.classes)} counts of split '{name}', {len(self.class_names)} classes")
        if self.label_counts and self.label_counts.keys() != self.splits.keys():
            raise ValueError(f"label_counts are of {first_names([*self.label_counts])}, not of the splits")


def check_task(task: str) -> None:
    """Check that there is such a task.

    Raises:
        ValueError: there is none; the message names all.
    """
    if task not in TASKS:
        raise ValueError(unknown_choice_line("task", task, TASKS))


def check_metric(metric: str) -> None:
    """Check that a search can have the metric.

    Raises:
        ValueError: it can't; the message names all that it can have.
    """
    if metric not in METRICS:
        raise ValueError(unknown_choice_line("metric", metric, METRICS))


def check_temperatures(temperatures: tuple[float, ...]) -> None:
    """Check the temperatures of classes or labels.

    Raises:
        ValueError: there are none, or one is not above 0.
    """
    if not temperatures or min(temperatures) <= 0:
        raise ValueError(f"the temperatures are {list(temperatures)}; they must be above 0")


def check_images(shape: Shape, aspect: str) -> None:
    """Check shape (H, W, C) and aspect of the images that networks are trained on.

    Raises:
        ValueError: no images have that shape, or the aspect is unknown.
    """
    if min(shape) < 1 or shape[2] not in (1, 3):
        raise ValueError(f"images of shape {list(shape)}")
    if aspect not in ASPECTS:
        raise ValueError(unknown_choice_line("aspect", aspect, ASPECTS))
