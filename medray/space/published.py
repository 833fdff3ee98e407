"""What a report has published of a search space's baselines: figures to lay beside one's own.

Nothing that is trained depends on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from medray.config import METRICS, Setting

#: Where a figure was read: on what was trained on, on validation, on test, or as the mean over folds.
TRAIN, VAL, TEST, FOLDS = SPLITS = ("train", "val", "test", "folds")

#: Figures of one class against the rest, by the name that they have among the scores of a class.
OF_POSITIVE = {"f1_positive": "f1", "precision_positive": "precision", "recall_positive": "recall"}

#: Every figure that an evaluation measures, and what it may be.
FIGURES: dict[str, Setting] = {
    **{name: Setting(float, low=0.0, high=1.0) for name in (*METRICS, *OF_POSITIVE)},
    "log_loss": Setting(float, low=0.0),
    "brier": Setting(float, low=0.0, high=2.0),
}


@dataclass(frozen=True)
class Figure:
    """A figure; over folds it is their mean, perhaps with its standard deviation."""

    mean: float
    sd: float | None = None


@dataclass(frozen=True)
class PublishedModel:
    """What was published of one model: figures by split and metric.

    The model is the baseline of its `name`, or the mean of the probabilities of the baselines in `average_of`.
    """

    name: str
    average_of: tuple[str, ...]
    figures: Mapping[str, Mapping[str, Figure]]

    @property
    def baselines(self) -> tuple[str, ...]:
        """The baselines that it is made of."""
        return self.average_of or (self.name,)


@dataclass(frozen=True)
class Published:
    """A report: who has written it, of which data, and its figures.

    `data` names the images in words and `source` as `--data` does, None where no source is those images; `images`
    counts them by split as far as known. `positive` is the class that the figures of `OF_POSITIVE` are of, and
    `note` what a reader of the figures should know.
    """

    report: str
    data: str
    source: str | None
    images: Mapping[str, int]
    positive: str | None
    note: str | None
    models: tuple[PublishedModel, ...]
