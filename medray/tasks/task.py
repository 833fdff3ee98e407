"""Task: what a shape of question needs to be trained, measured, decided and worded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medray._types import Array
from medray.stats.case_rule import CLASSES, GRADES, LABEL_SETS
from medray.stats.score_names import MODES

if TYPE_CHECKING:
    from medray.stats.events import Event

MANY = 5  # classes


@dataclass(frozen=True)
class Task:
    """A shape of question, as a table of what it has.

    `metrics` are those that it can be judged by, each with which way it is better; the first is the one to search
    for unless another is named. `losses` are the values of the setting `loss`, the first the default.
    `set_methods` are the methods of conformal sets for few classes and for `MANY` or more. Where `label_sets`, an
    image may have several labels, or none. Where `cuts`, an operating point calls a class and all above it, and
    the order of the classes has a meaning. `averaging` says how an ensemble answers, and `share` names the score
    that is a share of images. `shown` are the metrics of every table of models.
    `noun` and `nouns` are what a class is called.
    """

    name: str
    metrics: Mapping[str, str] = field(hash=False)
    losses: tuple[str, ...]
    set_methods: tuple[str, str]
    shown: tuple[str, ...]
    cuts: bool = False
    averaging: str = "weighted mean of the members' softmax; then p ** (1 / temperature), made to sum to 1"
    share: str = "accuracy"
    label_sets: bool = False
    noun: str = "class"
    nouns: str = "classes"

    @property
    def scores(self) -> dict[str, str]:
        """Every score of an evaluation, each with which way it is better: the metrics, and the Brier score."""
        return {name: mode for name, mode in MODES.items() if name in self.metrics or name == "brier"}

    @property
    def label_kind(self) -> str:
        """What labels are to cases of several images: classes, grades or label sets (`medray.stats.cases`)."""
        return LABEL_SETS if self.label_sets else GRADES if self.cuts else CLASSES

    def table_metrics(self, metric: str, *, calibration: bool = False) -> list[str]:
        """Return the metrics of a table of models: `metric`, which they are ranked by, first.

        With `calibration` the calibration error is one.
        """
        return list(dict.fromkeys([metric, *self.shown, *(["calibration_error"] if calibration else [])]))

    def measure(self, probabilities: Array, labels: Array) -> dict[str, float]:
        """Return all metrics by name, NaN where undefined, of probabilities (N, classes) against labels (N,)."""
        from medray.stats.metrics import all_metrics

        measured = all_metrics(probabilities, labels)
        return {name: measured[name] for name in self.metrics}

    def measure_defined(self, probabilities: Array, labels: Array) -> dict[str, float]:
        """Return the metrics that are defined of probabilities (N, classes), and their Brier score."""
        from medray.stats.calibration import brier_score
        from medray.stats.metrics import defined_metrics

        return {
            **defined_metrics(self.measure(probabilities, labels)),
            "brier": brier_score(probabilities, labels),
        }

    def events(self, class_names: Sequence[str]) -> "list[Event]":
        """Return what can be decided: each class, or each cut between grades."""
        from medray.stats.events import Event

        return [Event.at(i, class_names, cut=self.cuts) for i in range(int(self.cuts), len(class_names))]

    def set_method(self, classes: int) -> str:
        """Return the method of conformal sets for that many classes."""
        return self.set_methods[classes >= MANY]
