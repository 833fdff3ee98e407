"""Label issues: images whose label is in doubt by confident learning on out-of-fold predictions.

Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, section 3.
The threshold of a class is its mean probability over the images labelled with it. An image that reaches the
threshold of another class than its label's is an issue, so a model that is under-confident in a rare class, or
over-confident in all, does not bias the result. The probabilities must be out-of-fold: a model that was trained on
an image has learnt its wrong label too. Not every wrong label is found: an image that reaches no threshold is no
issue.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.stats.validate import ROUNDING, check_labelled

COLUMNS = (
    "rank",
    "position",
    "split",
    "label",
    "suggested",
    "given_probability",
    "suggested_probability",
    "margin",
)


@dataclass(frozen=True)
class LabelIssue:
    """An image whose label is in doubt.

    `position` is its index in the data set and `split` its split; `label` is the class it is labelled with and
    `suggested` the class that it more likely shows, with their probabilities. `margin` is the probability of the
    suggested class less that of the label: below 0 where the label is likelier but below its class's threshold.
    """

    position: int
    split: str
    label: str
    suggested: str
    given_probability: float
    suggested_probability: float
    margin: float


def find_label_issues(
    probabilities: Array,
    labels: Array,
    positions: Array,
    class_names: Sequence[str],
    split_of: Mapping[int, str] | Array,
) -> list[LabelIssue]:
    """Return the images off the diagonal of the confident joint, by descending margin, then by position.

    Takes out-of-fold `probabilities` (n, classes), `labels` int (n,), the images' `positions` int (n,) in the
    data set, and `split_of`: the splits by position, or the split of each image (n,). The order of the images does
    not matter.

    Raises:
        DataError: the predictions can't be used, an array does not fit the others, a position occurs twice, or the
            split of a position is missing.
    """
    probabilities, labels = check_labelled(probabilities, labels)
    if len(class_names) != probabilities.shape[1]:
        raise DataError(f"{len(class_names)} class names for probabilities of {probabilities.shape[1]} classes")
    positions = np.asarray(positions)
    splits = _checked_splits(split_of, positions, len(labels))
    classes = _confident_classes(probabilities, labels)
    issues = []
    for row in np.flatnonzero((classes >= 0) & (classes != labels)):
        label, suggested = int(labels[row]), int(classes[row])
        given, other = float(probabilities[row, label]), float(probabilities[row, suggested])
        names = class_names[label], class_names[suggested]
        issues.append(LabelIssue(int(positions[row]), splits[row], *names, given, other, other - given))
    return sorted(issues, key=lambda issue: (-issue.margin, issue.position))


def issues_to_csv(issues: Sequence[LabelIssue]) -> str:
    """Return issues as CSV in their order, ranked from 1; probabilities have six decimals."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, issue in enumerate(issues, start=1):
        numbers = (issue.given_probability, issue.suggested_probability, issue.margin)
        fields = [rank, issue.position, issue.split, issue.label, issue.suggested]
        writer.writerow([*fields, *(round(number, 6) for number in numbers)])
    return stream.getvalue()


def _confident_classes(probabilities: Array, labels: Array) -> Array:
    """Return the class that each image counts to in the confident joint, int64 (n,); -1 where it counts to none.

    It is the likeliest of the classes whose threshold the image reaches (Northcutt et al. 2021, equation 1); of
    equally likely ones the label if it is one of them, else the first. A threshold is the mean probability of a
    class over the images labelled with it (equation 2), and infinite where there are none. Probabilities within
    `ROUNDING` count as equal: a mean of equal float32 numbers may lie a little above them.
    """
    thresholds = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels):
        values = probabilities[labels == label, label]
        thresholds[label] = math.fsum(values) / len(values)  # exact: independent of the images' order
    scores = np.where(probabilities >= thresholds - ROUNDING, probabilities, -np.inf)
    best = scores.max(axis=1)
    labelled = scores[np.arange(len(labels)), labels]
    return np.where(np.isneginf(best), -1, np.where(labelled >= best - ROUNDING, labels, scores.argmax(axis=1)))


def _checked_splits(split_of: Mapping[int, str] | Array, positions: Array, images: int) -> list[str]:
    """Return the split of each image, and check that `positions` int (images,) are all different."""
    if positions.dtype.kind not in "iu" or positions.shape != (images,):
        raise DataError(
            f"positions are {positions.dtype} {positions.shape}, not int ({images},): one for each image"
        )
    values, counts = np.unique(positions, return_counts=True)
    if counts.max() > 1:
        raise DataError(f"position {values[counts.argmax()]} stands for {counts.max()} images; allowed is one")
    if isinstance(split_of, Mapping):
        missing = [position for position in positions.tolist() if position not in split_of]
        if missing:
            raise DataError(f"the image at position {missing[0]} has no split")
        return [split_of[position] for position in positions.tolist()]
    if np.shape(split_of) != positions.shape:
        raise DataError(f"splits are {np.shape(split_of)}, not ({images},): one for each image")
    return [str(name) for name in split_of]
