"""One answer from the images of a case: a patient, an exam or a lesion of which there are several images.

Probabilities are (N, K) of images, and `index` int64 (N,) is the case of each, 0 to cases - 1. A case of one image
answers as the image does, and the order of images never matters.

mean       the mean of the images' probabilities
attention  their mean, weighed by the softmax over the case of a score that the network gives each image (Ilse,
           Tomczak & Welling 2018; `medray.training.case_attention`)
max        an event is as likely as in the image where it is likeliest
noisy_or   an event is there unless it is in no image, as if images were independent: 1 - prod(1 - p) (Pearl 1988)

The events of max and noisy_or are each label of several, each cut "grade k or more" of grades, and of classes that
the case is not of the class `normal`; the other classes share that in proportion to their own max or noisy_or.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.case_rule import ATTENTION, CLASSES, GRADES, LABEL_SETS, MAX, MEANS, CaseRule
from medray.stats.patients import is_missing

DIFFERS = "(differs)"  # the value of a case whose images have several


def answer_cases(probabilities: Array, index: Array, rule: CaseRule, scores: Array | None = None) -> Array:
    """Return the answers of cases, float32 (cases, K), from those of their images (N, K).

    Rows of classes and grades sum to 1. `scores` (N,) are those of attention, None of other answers.

    Raises:
        ConfigError: attention has no scores, or another answer has.
    """
    exact, counts = probabilities.astype(np.float64), np.bincount(index)
    weights = image_weights(index, rule, scores)[:, None]
    if rule.answer in MEANS:
        answers = _reduce(np.add, exact * weights, index) / _reduce(np.add, weights, index)
    elif rule.kind == LABEL_SETS:
        answers = _any_image(exact, index, rule.answer)
    elif rule.kind == GRADES:
        reached = np.cumsum(exact[:, :0:-1], axis=1)[:, ::-1].clip(0.0, 1.0)  # P(grade >= k), k from 1 on
        ends = np.ones((len(counts), 1))
        answers = -np.diff(np.hstack([ends, _any_image(reached, index, rule.answer), 0 * ends]), axis=1)
    else:
        assert rule.normal is not None
        others = np.delete(exact, rule.normal, axis=1)
        abnormal = _any_image(1 - exact[:, [rule.normal]], index, rule.answer)
        parts = _any_image(others, index, rule.answer)
        sums = parts.sum(axis=1, keepdims=True)
        parts = abnormal * np.divide(parts, sums, out=np.full_like(parts, 1 / parts.shape[1]), where=sums > 0)
        answers = np.insert(parts, rule.normal, 1 - abnormal[:, 0], axis=1)
    table: Array = answers.clip(0.0, 1.0).astype(np.float32)
    alone = counts[index] == 1
    table[index[alone]] = probabilities[alone]
    return table


def image_weights(index: Array, rule: CaseRule, scores: Array | None) -> Array:
    """Return the weights of images in the mean of their case, float64 (N,), above 0: all 1, or by `scores` (N,).

    Raises:
        ConfigError: attention has no scores, or another answer has.
    """
    if (rule.answer == ATTENTION) != (scores is not None):
        raise ConfigError(
            "attention needs a score of each image, which only networks that were trained for it give"
            if scores is None
            else f"images have scores of attention, and cases answer by {rule.answer}"
        )
    if scores is None:
        return np.ones(len(index))
    exact = scores.astype(np.float64)
    weights: Array = np.exp(exact - _reduce(np.maximum, exact[:, None], index)[index, 0])
    return np.maximum(weights, np.finfo(np.float64).tiny)


def _any_image(probabilities: Array, index: Array, answer: str) -> Array:
    """Return how likely events of images (N, events) are in any image of a case, float64 (cases, events)."""
    if answer == MAX:
        return _reduce(np.maximum, probabilities, index)
    return 1 - _reduce(np.multiply, (1 - probabilities).clip(0.0, 1.0), index)


def _reduce(function: np.ufunc, values: Array, index: Array) -> Array:
    """Reduce values (N, columns) over the images of each case, in the order of the values, to (cases, columns)."""
    starts = np.append(0, np.bincount(index).cumsum()[:-1])
    columns = [function.reduceat(column[np.lexsort((column, index))], starts) for column in values.T]
    return np.stack(columns, axis=1)


def label_cases(labels: Array, index: Array, rule: CaseRule) -> Array:
    """Return the labels of cases, int64 (cases,), or (cases, K) of label sets, from those of their images.

    A label that any image has is the case's, one that none has and that is unknown (-1) of one is unknown. The
    grade of a case is the highest. Its class is that of all its images, or with a normal class the other one.

    Raises:
        DataError: the classes of a case differ.
    """
    by_case = np.zeros((index.max(initial=-1) + 1, *labels.shape[1:]), dtype=np.int64)
    if rule.kind == LABEL_SETS:
        np.maximum.at(by_case, index, np.array([0, 2, 1])[labels])  # 1 is above unknown, and that above 0
        table: Array = np.array([0, -1, 1])[by_case]
        return table
    if rule.kind == CLASSES:
        if (differing := int(differing_cases(labels, index, rule).sum())) > 0:
            raise DataError(f"{differing} of {len(by_case)} cases have images of several classes")
        if rule.normal is not None:  # any other class is above it
            ranks = np.where(labels == rule.normal, 0, labels + 1)
            np.maximum.at(by_case, index, ranks)
            return np.where(by_case == 0, rule.normal, by_case - 1)
    np.maximum.at(by_case, index, labels)
    return by_case


def differing_cases(labels: Array, index: Array, rule: CaseRule) -> Array:
    """Return which cases have images whose classes make no label of the case, bool (cases,).

    Those are of two classes, or with a normal class of two others. Grades and label sets always make one.
    """
    cases = index.max(initial=-1) + 1
    if rule.kind != CLASSES:
        return np.zeros(cases, dtype=bool)
    counted = labels != (-1 if rule.normal is None else rule.normal)
    pairs = np.unique(np.column_stack([index[counted], labels[counted]]), axis=0)
    differing: Array = np.bincount(pairs[:, 0], minlength=cases) > 1
    return differing


def number_cases(values: Array, patients: Array | None = None) -> Array:
    """Return the case of each image, int64 (N,), by equal `values` (N,) of the same patient (N,) where known.

    Cases are numbered in the order of their first images. An image whose value is missing is a case of its own.
    """
    owners = [""] * len(values) if patients is None else list(map(str, patients.tolist()))
    numbers: dict[tuple[str, str] | int, int] = {}
    cases = []
    for position, (value, owner) in enumerate(zip(values.tolist(), owners, strict=True)):
        key = position if is_missing(value) else (owner, str(value))
        cases.append(numbers.setdefault(key, len(numbers)))
    return np.array(cases, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class CaseIndex:
    """The cases of N images: `numbers` int64 (N,) say which images are of one case, and `rule` what that answers.

    Cases are in the order of their numbers.
    """

    rule: CaseRule
    numbers: Array

    def __len__(self) -> int:
        return len(self.first)

    def at(self, positions: Array) -> "CaseIndex":
        """Return the cases of the images at `positions` (n,), with these images alone."""
        return CaseIndex(self.rule, self.numbers[positions])

    @cached_property
    def _unique(self) -> tuple[Array, Array]:
        _, first, index = np.unique(self.numbers, return_index=True, return_inverse=True)
        return first, index.astype(np.int64)

    @property
    def first(self) -> Array:
        """The first image of each case, int64 (cases,)."""
        return self._unique[0]

    @property
    def index(self) -> Array:
        """The case of each image, int64 (N,), from 0 to cases - 1."""
        return self._unique[1]

    def answers(self, probabilities: Array, scores: Array | None = None) -> Array:
        """Return the cases' answers, float32 (cases, K), from the images' (N, K), with attention's scores (N,)."""
        return answer_cases(probabilities, self.index, self.rule, scores)

    def labels(self, labels: Array) -> Array:
        """Return the cases' labels (cases, ..) from the images' (N, ..); DataError where classes differ."""
        return label_cases(labels, self.index, self.rule)

    def columns(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Return columns of values (N,) by case (cases,): the value of all its images, or that it `DIFFERS`.

        The column that cases are made by is left out.
        """
        by_case = {}
        for name, column in columns.items():
            if name == self.rule.by:
                continue
            values = column[self.first]
            agree = np.bincount(self.index, column == values[self.index]) == np.bincount(self.index)
            by_case[name] = values if agree.all() else np.where(agree, values.astype(str), DIFFERS)
        return by_case
