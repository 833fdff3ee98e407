"""CaseAnswers: an ensemble's answers to cases, with those to their images, and how much each image weighed."""

from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.ensemble.averaging import shares_of
from medray.ensemble.ensemble import Ensemble
from medray.ensemble.label_set_prediction import LabelSetPrediction
from medray.ensemble.prediction import Prediction
from medray.stats.case_weights import case_weights

DIGITS = 7  # of weights that are compared: equal ones may differ by rounding


@dataclass(frozen=True, eq=False)
class CaseAnswers:
    """Answers to `cases`, in the order of their first images, and to each of the `images` (N,) alone.

    `index` int64 (N,) is the case of each image. `weights` float64 (N,) say how much it weighed in the
    probability of its case's class, of which `classes` int64 (cases,) is the index: the likeliest, and of several
    labels the likeliest that is called, or else of all. Those of a case sum to 1.
    """

    cases: Prediction
    images: Prediction
    index: Array
    classes: Array
    weights: Array

    @property
    def weighed_most(self) -> Array:
        """The image of each case that weighed most, int64 (cases,).

        Of images with the same weight, such as all of a mean, it is the one that says the class most likely.
        """
        of_class = self.images.probabilities[np.arange(len(self.index)), self.classes[self.index]]
        order = np.lexsort((-np.arange(len(self.index)), of_class, self.weights.round(DIGITS), self.index))
        last = np.append(np.flatnonzero(np.diff(self.index[order])), len(order) - 1)
        most: Array = order[last]
        return most


def answer_with_weights(ensemble: Ensemble, images: Array, cases: Array) -> CaseAnswers:
    """Return the answers to the cases of uint8 images (N, H, W, C), N above 0; `cases` (N,) say which are of one.

    They are those of `Ensemble.predict`, and the networks see each image once.

    Raises:
        DataError: the images have another type or shape.
        ConfigError: the ensemble was made to answer images, not cases.
    """
    index = ensemble.case_index(cases)
    ensemble.check_images(images)
    members = ensemble.member_outputs(images)
    by_case = ensemble.average([index.answers(output.probabilities, output.scores) for output in members])
    classes = _likeliest(by_case)
    rows = np.arange(len(images)), classes[index.index]
    weights = np.zeros(len(images))
    for share, output in zip(shares_of(ensemble.weights), members, strict=True):
        weights += share * case_weights(index, output)[rows]
    by_image = ensemble.average([output.probabilities for output in members])
    return CaseAnswers(by_case, by_image, index.index, classes, weights)


def _likeliest(prediction: Prediction) -> Array:
    """Return the likeliest class of each row, of several labels the likeliest that is called, or else of all."""
    probabilities = prediction.probabilities
    if isinstance(prediction, LabelSetPrediction):
        called = prediction.called
        probabilities = np.where(called | ~called.any(axis=1, keepdims=True), probabilities, -1.0)
    likeliest: Array = probabilities.argmax(axis=1)
    return likeliest
