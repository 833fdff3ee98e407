"""Scores of each class against the rest, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from medray._types import Array
from medray.errors import DataError
from medray.json_document import JsonDocument
from medray.stats.auc_interval import auc_interval
from medray.stats.bootstrap import Estimate
from medray.stats.events import Event
from medray.stats.label_set_predictions import AnyPredictions
from medray.stats.label_sets import CALLED
from medray.stats.rates import Proportion, share_of
from medray.stats.scores import Predictions


@dataclass(frozen=True)
class ClassScores(JsonDocument):
    """Scores of one class against the rest; a share of no images has no value, and an F1 of none is 0.

    `recall` is the sensitivity, `precision` the positive predictive value.
    """

    name: str
    images: int
    precision: Proportion
    recall: Proportion
    specificity: Proportion
    f1: float
    auc: Estimate


def class_scores(
    predictions: AnyPredictions, class_names: Sequence[str], groups: Array | None = None
) -> list[ClassScores]:
    """Return each class's scores against the rest, in the order of `class_names`.

    Of several labels an image, each is called from a probability of one half, and images count whose label is
    known.

    With `groups` (N,), the patient of each image, the 95 % intervals are by patient.

    Raises:
        DataError: there is not one name for each class, or a patient is missing.
    """
    if len(class_names) != predictions.classes:
        raise DataError(f"{len(class_names)} class names for {predictions.classes} classes")

    def scores(c: int, name: str) -> ClassScores:
        event = Event.at(c, class_names)
        answers = event.answers(predictions.probabilities, predictions.labels, groups)
        of_class, patients = answers.having, answers.groups
        called = predictions.predicted == c if isinstance(predictions, Predictions) else answers.scores >= CALLED
        counted = of_class.sum() + called.sum()

        def share(hits: Array, images: Array) -> Proportion:
            return share_of(hits[images], None if patients is None else patients[images])

        table, labels = answers.table
        return ClassScores(
            name=name,
            images=int(of_class.sum()),
            precision=share(of_class, called),
            recall=share(called, of_class),
            specificity=share(~called, ~of_class),
            f1=float(2 * (of_class & called).sum() / counted) if counted else 0.0,
            auc=auc_interval(table, labels, patients) if len(labels) else Estimate(None, None, None, "no image"),
        )

    return [scores(c, name) for c, name in enumerate(class_names)]
