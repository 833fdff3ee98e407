"""An ensemble's prediction in the service's types: what it says of each image."""

from collections.abc import Sequence

import numpy as np

from medray._types import Array
from medray.ensemble.label_set_prediction import LabelSetPrediction
from medray.ensemble.prediction import Prediction
from medray.serving.engine.answers import Classification, ConformalSet, Decision, Labelling, LabelSets, OodScore


def image_answers(
    prediction: Prediction, flags: Sequence[list[str]], oods: Sequence[OodScore | None]
) -> list[Classification] | list[Labelling]:
    """Return the answer to each image of a prediction, with its `flags` and out-of-distribution score."""
    names = prediction.class_names
    probabilities = [
        {name: round(float(p), 7) for name, p in zip(names, row, strict=True)} for row in prediction.probabilities
    ]
    common = zip(probabilities, _decisions(prediction), flags, oods, strict=True)
    if isinstance(prediction, LabelSetPrediction):
        return [
            Labelling(labels=labels, probabilities=table, decisions=decisions, sets=sets, flags=flag, ood=ood)
            for labels, sets, (table, decisions, flag, ood) in zip(
                prediction.called_names, _label_sets(prediction), common, strict=True
            )
        ]
    return [
        Classification(label=label, probabilities=table, decisions=decisions, sets=sets, flags=flag, ood=ood)
        for label, sets, (table, decisions, flag, ood) in zip(
            prediction.names, _class_sets(prediction), common, strict=True
        )
    ]


def _decisions(prediction: Prediction) -> list[list[Decision]]:
    decided = [
        (point, point.event.scores(prediction.probabilities), point.decide(prediction.probabilities))
        for point in prediction.operating_points
    ]
    return [
        [
            Decision(
                point.name,
                point.positive,
                prediction.class_names[point.event.class_index],
                round(float(of_event[row]), 7),
                point.threshold,
                bool(positive[row]),
            )
            for point, of_event, positive in decided
        ]
        for row in range(len(prediction.probabilities))
    ]


def _class_sets(prediction: Prediction) -> list[list[ConformalSet]]:
    sets = [(conformal.coverage, conformal.sets(prediction.probabilities)) for conformal in prediction.conformal]
    return [
        [ConformalSet(coverage, _names(prediction, inside[row])) for coverage, inside in sets]
        for row in range(len(prediction.probabilities))
    ]


def _label_sets(prediction: LabelSetPrediction) -> list[list[LabelSets]]:
    coverages = list(dict.fromkeys(conformal.coverage for conformal in prediction.conformal))
    sets = [(coverage, prediction.sets(coverage)) for coverage in coverages]
    return [
        [
            LabelSets(
                coverage,
                present=_names(prediction, inside[row, :, 1] & ~inside[row, :, 0]),
                absent=_names(prediction, inside[row, :, 0] & ~inside[row, :, 1]),
                not_sure=_names(prediction, inside[row].all(axis=1)),
            )
            for coverage, inside in sets
        ]
        for row in range(len(prediction.probabilities))
    ]


def _names(prediction: Prediction, marked: Array) -> list[str]:
    return [prediction.class_names[index] for index in np.flatnonzero(marked)]
