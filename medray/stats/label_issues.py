"""Label issues: images whose label the predictions doubt that were made without having seen them.

Confident learning (Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels", JAIR 70), section 3. A class's own mean probability says how sure the model is where that class is
meant; an image that reaches this of another class than its label's is doubted. So a model that is never
sure of a rare class, or too sure of all of them, does not decide alone what stands out. The probabilities
must be out-of-fold: a model that was trained on an image has learnt its wrong label too. Not every wrong
label is found: an image that reaches no class's threshold is left alone.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError

#: Probabilities nearer than this are the same: a mean of equal float32 numbers may lie a little above them.
ROUNDING = 1e-6
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
    """An image whose label is doubted.

    `position` is that of the image in the data set and `split` where it lies; `label` is the class it has and
    `suggested` the one it seems to be of, with their probabilities. `margin` is the suggested class's less
    the label's: below 0 where the label is the likelier one, yet not as likely as it mostly is where it is meant.
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
    """Find the images off the diagonal of the confident joint, the largest margin first, then by position.

    Takes out-of-fold `probabilities` (n, classes), `labels` int (n,), the images' `positions` int (n,) in the
    data set, and `split_of`, the split by position, or of each of the n images. The answer does not depend on
    the order of the images.

    Raises:
        DataError: there is no image, a probability is NaN or none, an array does not fit the others, or the
            split of a position is not known.
    """
    probabilities, labels = _checked(probabilities, labels)
    if len(class_names) != probabilities.shape[1]:
        raise DataError(f"{len(class_names)} class names for probabilities of {probabilities.shape[1]} classes")
    positions = _checked_positions(positions, len(labels))
    splits = _splits(split_of, positions)
    counted = _counted_as(probabilities, labels)
    issues = []
    for row in np.flatnonzero((counted >= 0) & (counted != labels)):
        label, suggested = int(labels[row]), int(counted[row])
        given, other = float(probabilities[row, label]), float(probabilities[row, suggested])
        names = class_names[label], class_names[suggested]
        issues.append(LabelIssue(int(positions[row]), splits[row], *names, given, other, other - given))
    return sorted(issues, key=lambda issue: (-issue.margin, issue.position))


def issues_to_csv(issues: Sequence[LabelIssue]) -> str:
    """Write issues as CSV in the order they come in, ranked from 1; probabilities have six decimals."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, issue in enumerate(issues, start=1):
        numbers = (issue.given_probability, issue.suggested_probability, issue.margin)
        own = [rank, issue.position, issue.split, issue.label, issue.suggested]
        writer.writerow([*own, *(round(number, 6) for number in numbers)])
    return stream.getvalue()


def _thresholds(probabilities: Array, labels: Array) -> Array:
    """Mean probability of each class over the images labelled with it, float64 (classes,).

    It is infinite where no image has that label: nothing says how sure a model would be of that class.
    (Northcutt et al. 2021, equation 2.)
    """
    found = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels):
        own = probabilities[labels == label, label]
        found[label] = math.fsum(own) / len(own)  # exact: the same in whatever order the images come
    return found


def _counted_as(probabilities: Array, labels: Array) -> Array:
    """The class that each image counts to in the confident joint, int64 (n,); -1 where it counts to none.

    It is the likeliest of those whose threshold the image reaches (Northcutt et al. 2021, equation 1); of equally
    likely ones the label where that is one of them, else the first.
    """
    reached = probabilities >= _thresholds(probabilities, labels) - ROUNDING
    scores = np.where(reached, probabilities, -np.inf)
    best = scores.max(axis=1)
    counted = scores.argmax(axis=1)
    own = scores[np.arange(len(labels)), labels]
    return np.where(np.isneginf(best), -1, np.where(own >= best - ROUNDING, labels, counted))


def _checked(probabilities: Array, labels: Array) -> tuple[Array, Array]:
    """Return both as float64 and int64, if they are what they should be."""
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2 or not len(probabilities):
        raise DataError(f"probabilities are {probabilities.shape}, not (images, classes) of two classes or more")
    if probabilities.dtype.kind != "f" or not np.isfinite(probabilities).all():
        raise DataError("probabilities hold NaN, infinity or what is no float")
    exact = probabilities.astype(np.float64)
    if exact.min() < -ROUNDING or (abs(exact.sum(axis=1) - 1) > 0.01).any():
        raise DataError("probabilities are negative or do not sum to 1 over an image's classes")
    images, classes = exact.shape
    if labels.dtype.kind not in "iu" or labels.shape != (images,):
        raise DataError(f"labels are {labels.dtype} {labels.shape}, not int ({images},): one for each image")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"labels run from {labels.min()} to {labels.max()}; allowed are 0 to {classes - 1}")
    return exact, labels.astype(np.int64)


def _checked_positions(positions: Array, images: int) -> Array:
    positions = np.asarray(positions)
    if positions.dtype.kind not in "iu" or positions.shape != (images,):
        raise DataError(
            f"positions are {positions.dtype} {positions.shape}, not int ({images},): one for each image"
        )
    values, counts = np.unique(positions, return_counts=True)
    if counts.max() > 1:
        raise DataError(f"position {values[counts.argmax()]} stands for {counts.max()} images; allowed is one")
    return positions


def _splits(split_of: Mapping[int, str] | Array, positions: Array) -> list[str]:
    """The split of each image."""
    if isinstance(split_of, Mapping):
        missing = next((p for p in positions.tolist() if p not in split_of), None)
        if missing is not None:
            raise DataError(f"no split is known of the image at position {missing}")
        return [split_of[p] for p in positions.tolist()]
    if np.shape(split_of) != positions.shape:
        raise DataError(f"splits are {np.shape(split_of)}, not ({len(positions)},): one for each image")
    return [str(name) for name in split_of]
