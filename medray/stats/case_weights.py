"""How much each image of a case weighed in its answer."""

import numpy as np

from medray._types import Array
from medray.stats.case_rule import GRADES, MAX, MEANS
from medray.stats.cases import CaseIndex, image_weights
from medray.stats.outputs import Outputs


def case_weights(cases: CaseIndex, outputs: Outputs) -> Array:
    """Return each image's weight in each of its case's probabilities, float64 (N, K).

    Weights are 0 or more, and those of a case sum to 1 in each column: a label's, a class's or a grade's.

    mean       all the same
    attention  the softmax over the case of the images' scores
    max        all is the image's where the event is likeliest, in equal parts where it is so in several
    noisy_or   an image's part of the logarithm: log(1 - p) over its sum; where an image is certain, all is its

    The event of a label's column is the label, of a class's the class, except of the normal one that the image is
    not normal, of a grade's that grade or more, and of the lowest grade's the next or more: an image weighs in it
    by what speaks against it. Where no image has a trace of the event, all weigh the same.

    Raises:
        ConfigError: attention has no scores.
    """
    rule, index = cases.rule, cases.index
    if rule.answer in MEANS:
        parts = np.repeat(image_weights(index, rule, outputs.scores)[:, None], outputs.probabilities.shape[1], 1)
    else:
        events = outputs.probabilities.astype(np.float64).clip(0.0, 1.0)
        if rule.kind == GRADES:
            events = np.cumsum(events[:, ::-1], axis=1)[:, ::-1].clip(0.0, 1.0)
            events[:, 0] = events[:, 1]
        elif rule.normal is not None:
            events[:, rule.normal] = 1 - events[:, rule.normal]
        highest = np.zeros((len(cases), events.shape[1]))
        np.maximum.at(highest, index, events)
        largest = events == highest[index]
        if rule.answer == MAX:
            parts = largest.astype(np.float64)
        else:
            with np.errstate(divide="ignore"):
                parts = np.where(highest[index] == 1, largest, -np.log1p(-events))
    sums = np.zeros((len(cases), parts.shape[1]))
    np.add.at(sums, index, parts)
    even = 1 / np.bincount(index)[index][:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        weights: Array = np.where(sums[index] > 0, parts / sums[index], even)
    return weights
