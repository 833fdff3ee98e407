"""What a report has published of a search space's baselines: figures to compare one's own with.

No training depends on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from medray.config import Setting
from medray.stats.score_names import METRICS

#: What a figure was measured on: training, validation or test images, or the mean over folds.
TRAIN, VAL, TEST, FOLDS = MEASURED_ON = ("train", "val", "test", "folds")

#: Figures of one class against the rest -> their name among the scores of a class.
POSITIVE_CLASS_METRICS = {"f1_positive": "f1", "precision_positive": "precision", "recall_positive": "recall"}

#: Every figure that an evaluation measures -> its allowed range.
FIGURES: dict[str, Setting] = {
    **{name: Setting(float, low=0.0, high=1.0) for name in (*METRICS, *POSITIVE_CLASS_METRICS)},
    "log_loss": Setting(float, low=0.0),
    "brier": Setting(float, low=0.0, high=2.0),
}


@dataclass(frozen=True)
class Figure:
    """A figure; over folds it is their mean, with their standard deviation where it is known."""

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
        """The names of the baselines that it is made of."""
        return self.average_of or (self.name,)


@dataclass(frozen=True)
class Published:
    """A report: its authors, its data, and its figures.

    `data` describes the images in words; `source` is the same images as a `--data` source, or None if there is
    none; `images` counts them by split, as far as known. `positive` is the class of the figures in
    `POSITIVE_CLASS_METRICS`, and `note` what a reader of the figures should know.
    """

    report: str
    data: str
    source: str | None
    images: Mapping[str, int]
    positive: str | None
    note: str | None
    models: tuple[PublishedModel, ...]
