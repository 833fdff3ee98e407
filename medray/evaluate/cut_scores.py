"""The cuts between ordered grades on the test images: how well "grade 2 or more" is told from less."""

from collections.abc import Sequence
from dataclasses import dataclass

from medray._types import Array
from medray.console_tables import Columns, interval, number
from medray.decisions.thresholds import OperatingPoint
from medray.json_document import JsonDocument
from medray.stats.auc_interval import auc_interval
from medray.stats.bootstrap import Estimate
from medray.stats.events import Event
from medray.stats.label_set_predictions import AnyPredictions
from medray.stats.rates import Rates


@dataclass(frozen=True)
class CutScores(JsonDocument):
    """The AUC of an event's probability; `images` are those that have the event."""

    event: Event
    images: int
    auc: Estimate

    @classmethod
    def of(cls, event: Event, predictions: AnyPredictions, groups: Array | None = None) -> "CutScores":
        """Return the scores of an event on the images of `predictions` (N,), of patients `groups` (N,).

        Raises:
            DataError: a patient is missing.
        """
        answers = event.answers(predictions.probabilities, predictions.labels, groups)
        return cls(event, int(answers.having.sum()), auc_interval(*answers.table, answers.groups))


def cut_columns(
    cuts: Sequence[CutScores], rated: Sequence[tuple[OperatingPoint, Rates]], unit: str = "image"
) -> Columns:
    """Return the columns of a table of cuts, with the rates of the operating points that are set on them.

    `unit` is what an answer is of: image or case.
    """
    columns: Columns = [
        (f"{unit}s", [str(cut.images) for cut in cuts]),
        ("AUC", [interval(cut.auc) for cut in cuts]),
    ]
    for name in dict.fromkeys(point.name for point, _ in rated):
        of_event = {point.event: rates for point, rates in rated if point.name == name}
        for key in ("sensitivity", "specificity"):
            cells = [
                interval(getattr(of_event[cut.event], key)) if cut.event in of_event else number(None)
                for cut in cuts
            ]
            columns.append((f"{key}\n({name})", cells))
    return columns
