"""Label issues: images whose label is in doubt by out-of-fold predictions, those likelier wrong first.

The chance that a label is wrong is that of `medray.stats.label_noise`: listed are the images where it is above one
half. The rate of wrong labels that it rests on is a lower limit, so a set without wrong labels has a short list.
Many wrong labels are not listed, the more the worse the model is. The probabilities must be out-of-fold: a model
that was trained on an image has learnt its wrong label too.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.errors import DataError
from medray.stats.label_noise import FLIPPED, LabelNoise, fit_label_noise, fit_one_label, planted_hits
from medray.stats.label_sets import binary_table, has_both
from medray.stats.validate import check_label_sets, check_labelled

FIRST = 20  # images at the head of the list, of which it is said how many to expect

COLUMNS = (
    "rank",
    "position",
    "split",
    "label",
    "suggested",
    "given_probability",
    "suggested_probability",
    "wrong_probability",
)


@dataclass(frozen=True)
class LabelIssue:
    """An image whose label is in doubt.

    `position` is its index in the data set and `split` its split; `label` is the class it is labelled with and
    `suggested` the likeliest other class, with their probabilities; `wrong_probability` is the estimated chance
    that the label is wrong.
    """

    position: int
    split: str
    label: str
    suggested: str
    given_probability: float
    suggested_probability: float
    wrong_probability: float


@dataclass(frozen=True)
class DoubtedLabels:
    """The label issues of a data set, and what to expect of the head of their list.

    Where `FLIPPED` of the labels is flipped on purpose in these predictions, about `hits` of the `first`
    that are doubted most are flipped ones. Where no label is wrong, all that are listed are right.
    """

    issues: list[LabelIssue]
    first: int
    hits: float

    @property
    def expectation(self) -> str:
        """What to expect of the list, in words."""
        return (
            f"were {FLIPPED:.0%} of the labels flipped, about {self.hits:.0f} of the first {self.first} would be "
            "flipped ones"
        )


def find_label_issues(
    probabilities: Array,
    labels: Array,
    positions: Array,
    class_names: Sequence[str],
    split_of: Mapping[int, str] | Array,
) -> DoubtedLabels:
    """Return the images whose label is likelier wrong than right, the least credible first, then by position.

    Takes out-of-fold `probabilities` (n, classes), `labels` int (n,), the images' `positions` int (n,) in the
    data set, and `split_of`: the splits by position, or the split of each image (n,). The order of the images does
    not matter. A class that no image is labelled with is never suggested. Of several labels an image, labels
    (n, classes), each label that is known may be in doubt: it is "with X" or "without X".

    Raises:
        DataError: the predictions can't be used, an array does not fit the others, a position occurs twice, or the
            split of a position is missing.
    """
    if labels.ndim == 2:
        return _of_label_sets(probabilities, labels, positions, class_names, split_of)
    probabilities, labels = check_labelled(probabilities, labels)
    if len(class_names) != probabilities.shape[1]:
        raise DataError(f"{len(class_names)} class names for probabilities of {probabilities.shape[1]} classes")
    positions = np.asarray(positions)
    splits = _checked_splits(split_of, positions, len(labels))
    order = np.argsort(positions)  # sums depend on the order in their last digit
    probabilities, labels, positions = probabilities[order], labels[order], positions[order]
    noise = fit_label_noise(probabilities, labels)
    issues = _doubted(noise, probabilities, labels, positions, class_names, np.array(splits)[order])
    issues.sort(key=lambda issue: (-issue.wrong_probability, issue.position))
    first = min(FIRST, max(1, round(FLIPPED * len(labels))))
    return DoubtedLabels(issues, first, planted_hits(noise, labels, first))


def _doubted(
    noise: LabelNoise, probabilities: Array, labels: Array, positions: Array, class_names: Sequence[str],
    splits: Array,
) -> list[LabelIssue]:  # fmt: skip
    """Return the images whose label is likelier wrong than right, with the likeliest other class that occurs."""
    wrong = noise.wrong(labels)
    candidates = np.full_like(probabilities, -1.0)
    present = np.unique(labels)
    candidates[:, present] = probabilities[:, present]
    candidates[np.arange(len(labels)), labels] = -1.0
    issues = []
    for row in np.flatnonzero((wrong > 0.5) & (candidates.max(axis=1) >= 0)).tolist():
        label, suggested = int(labels[row]), int(candidates[row].argmax())
        given, other = float(probabilities[row, label]), float(probabilities[row, suggested])
        names = class_names[label], class_names[suggested]
        split = str(splits[row])
        issues.append(LabelIssue(int(positions[row]), split, *names, given, other, float(wrong[row])))
    return issues


def _of_label_sets(
    probabilities: Array,
    labels: Array,
    positions: Array,
    names: Sequence[str],
    split_of: Mapping[int, str] | Array,
) -> DoubtedLabels:
    """Return the labels in doubt of label sets (n, classes), each by its own probabilities, in one list."""
    exact, labels = check_label_sets(probabilities, labels)
    positions = np.asarray(positions)
    splits = np.array(_checked_splits(split_of, positions, len(labels)))
    issues, tables, truths = [], [], []
    for scores, marks, name in zip(exact.T, labels.T, names, strict=True):
        known = marks >= 0
        if not has_both(marks):
            continue
        table, answers = binary_table(scores[known]), marks[known]
        words = (f"without {name}", f"with {name}")
        noise = fit_one_label(scores[known], answers == 1)
        issues += _doubted(noise, table, answers, positions[known], words, splits[known])
        tables.append(noise.probabilities)
        truths.append(answers)
    if not tables:
        return DoubtedLabels([], 1, 0.0)
    issues.sort(key=lambda issue: (-issue.wrong_probability, issue.position))
    pooled, truth = LabelNoise(0.0, np.concatenate(tables)), np.concatenate(truths)
    first = min(FIRST, max(1, round(FLIPPED * len(truth))))
    return DoubtedLabels(issues, first, planted_hits(pooled, truth, first))


def issues_to_csv(issues: Sequence[LabelIssue]) -> str:
    """Return issues as CSV in their order, ranked from 1; probabilities have six decimals."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, issue in enumerate(issues, start=1):
        numbers = (issue.given_probability, issue.suggested_probability, issue.wrong_probability)
        fields = [rank, issue.position, issue.split, issue.label, issue.suggested]
        writer.writerow([*fields, *(round(number, 6) for number in numbers)])
    return stream.getvalue()


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
