"""Label issues: against a loop over the definition, against labels flipped on purpose, and at the edges."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from medray._types import Array
from medray.errors import DataError
from medray.stats.label_issues import COLUMNS, LabelIssue, find_label_issues, issues_to_csv

NAMES = tuple("abcdefghij")
Case = tuple[Array, Array]


def find(probabilities: Array, labels: Array) -> list[LabelIssue]:
    """Issues of images at positions 0, 1, ... of one split."""
    positions = np.arange(len(labels))
    return find_label_issues(
        probabilities,
        labels,
        positions,
        NAMES[: probabilities.shape[1]],
        dict.fromkeys(range(len(labels)), "train"),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Probabilities (n, classes) with many ties, and labels; a class may be missing from either."""
    classes, count = draw(st.integers(2, 5)), draw(st.integers(1, 30))
    levels = draw(st.sampled_from([1, 3, 50]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(0, levels + 1, size=(count, classes)).astype(np.float64)
    scores[scores.sum(axis=1) == 0] = 1
    present = draw(st.lists(st.integers(0, classes - 1), min_size=1, unique=True))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return (scores / scores.sum(axis=1, keepdims=True)).astype(dtype), rng.choice(present, size=count)


# -- the definition


def counted_by_loop(probabilities: Array, labels: Array) -> Iterator[tuple[int, int]]:
    """Row and class of every image in the confident joint, image by image in plain numbers."""
    images = [[float(p) for p in row] for row in probabilities]
    own = {label: [p[label] for p, y in zip(images, labels, strict=True) if y == label] for label in set(labels)}
    thresholds = {label: sum(values) / len(values) for label, values in own.items()}
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        reached = [c for c in sorted(thresholds) if image[c] >= thresholds[c] - 1e-6]
        if reached:
            best = max(image[c] for c in reached)
            tied = [c for c in reached if image[c] >= best - 1e-6]
            yield row, label if label in tied else tied[0]


@settings(deadline=None, max_examples=60)
@given(cases())
def test_issues_are_those_of_a_loop(case: Case) -> None:
    _, labels = case
    expected = {(row, NAMES[one]) for row, one in counted_by_loop(*case) if one != labels[row]}
    assert {(issue.position, issue.suggested) for issue in find(*case)} == expected


@settings(deadline=None, max_examples=60)
@given(cases(), st.randoms(use_true_random=False))
def test_permuted_images_give_the_same_answer(case: Case, random: Any) -> None:
    probabilities, labels = case
    order = list(range(len(labels)))
    random.shuffle(order)
    positions = np.arange(len(labels)) * 7 + 3
    splits = {int(p): f"split {p % 3}" for p in positions}
    names = NAMES[: probabilities.shape[1]]
    expected = find_label_issues(probabilities, labels, positions, names, splits)
    assert find_label_issues(probabilities[order], labels[order], positions[order], names, splits) == expected
    by_row = np.array([splits[int(p)] for p in positions[order]])
    assert find_label_issues(probabilities[order], labels[order], positions[order], names, by_row) == expected


@settings(deadline=None, max_examples=40)
@given(cases())
def test_issues_are_ranked_by_margin_and_say_what_they_are_of(case: Case) -> None:
    probabilities, labels = case
    issues = find(*case)
    assert issues == sorted(issues, key=lambda issue: (-issue.margin, issue.position))
    for issue in issues:
        label, suggested = NAMES.index(issue.label), NAMES.index(issue.suggested)
        row = probabilities[issue.position]
        assert label == labels[issue.position] != suggested
        assert (issue.given_probability, issue.suggested_probability) == (row[label], row[suggested])
        assert issue.margin == issue.suggested_probability - issue.given_probability
        assert issue.split == "train"
        assert suggested in labels  # a class without an image has no threshold to reach


def test_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9], [0.95, 0.05]])
    labels = np.array([0, 0, 0, 1, 1, 1])  # thresholds 0.6 and 0.55
    assert [(i.position, i.label, i.suggested) for i in find(probabilities, labels)] == [
        (5, "b", "a"),
        (2, "a", "b"),
    ]
    assert [i.margin for i in find(probabilities, labels)] == pytest.approx([0.9, 0.6])


def test_an_image_that_reaches_no_threshold_is_not_doubted() -> None:
    probabilities = np.array([[1.0, 0.0], [0.4, 0.6], [0.0, 1.0], [0.0, 1.0]])
    labels = np.array([0, 0, 1, 1])  # thresholds 0.7 and 1
    assert not find(probabilities, labels)


# -- edges


def test_a_tie_is_in_the_labels_favour_and_equal_images_are_not_doubted() -> None:
    for labels in ([0, 1], [0, 0, 1], [1, 1, 1, 0]):
        assert not find(np.full((len(labels), 2), 0.5), np.array(labels))
    rng = np.random.default_rng(0)
    for share in rng.uniform(0.01, 0.49, size=50).astype(np.float32):  # a rounded mean must not lie above all
        row = np.array([share, 1 - share], dtype=np.float32)
        assert not find(np.tile(row, (49, 1)), np.ones(49, dtype=np.int64))


def test_a_class_with_no_image_has_no_threshold_and_is_never_suggested() -> None:
    probabilities = np.array([[0.1, 0.0, 0.9], [0.0, 0.1, 0.9], [0.05, 0.05, 0.9]])
    labels = np.array([0, 1, 1])
    assert not any(issue.suggested == "c" for issue in find(probabilities, labels))
    assert not find(probabilities, np.zeros(3, dtype=np.int64))


def test_a_class_that_is_never_predicted_can_still_be_suggested() -> None:
    """Of a rare class the model is never surer than 0.4; one of its images lies among the common ones."""
    probabilities = np.array([[0.99, 0.01]] * 95 + [[0.62, 0.38]] * 4 + [[0.6, 0.4]])
    labels = np.array([0] * 95 + [1] * 4 + [0])
    assert not (probabilities.argmax(axis=1) == 1).any()
    (issue,) = find(probabilities, labels)
    assert (issue.position, issue.label, issue.suggested) == (99, "a", "b")
    assert issue.margin == pytest.approx(-0.2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_probabilities_that_are_not_finite_are_refused(bad: float) -> None:
    probabilities = np.array([[0.5, 0.5], [bad, 0.5]])
    with pytest.raises(DataError, match=r"^probabilities of image 1 must lie between 0 and 1"):
        find(probabilities, np.array([0, 1]))


GOOD = {
    "probabilities": np.array([[0.5, 0.5], [0.3, 0.7]]),
    "labels": np.array([0, 1]),
    "positions": np.array([4, 9]),
    "class_names": ("a", "b"),
    "split_of": {4: "train", 9: "val"},
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"probabilities": np.zeros((0, 2))}, "there is no image"),
        ({"probabilities": np.ones((2, 1))}, r"float64 \(2, 1\), not float \(N, classes\) of two"),
        ({"probabilities": np.array([0.5, 0.5])}, r"float64 \(2,\), not float"),
        ({"probabilities": np.array([[2, -1], [0, 1]])}, "int64 .* not float"),
        ({"probabilities": np.array([[2.0, -1.0], [0.0, 1.0]])}, "image 0 .* between -1 and 2"),
        ({"probabilities": np.array([[0.9, 0.9], [0.0, 1.0]])}, "image 0 .* sum to 1.8"),
        ({"labels": np.array([0, 1, 1])}, r"labels are int64 \(3,\), not whole numbers \(2,\)"),
        ({"labels": np.array([0.0, 1.0])}, r"labels are float64 \(2,\), not whole numbers"),
        ({"labels": np.array([0, 2])}, "label 2 of image 1 is of no class: labels are 0 to 1"),
        ({"labels": np.array([-1, 1])}, "label -1 of image 0"),
        ({"positions": np.array([4])}, r"positions are int64 \(1,\), not int \(2,\)"),
        ({"positions": np.array([4, 4])}, "position 4 stands for 2 images; allowed is one"),
        ({"class_names": ("a", "b", "c")}, "3 class names for probabilities of 2 classes"),
        ({"split_of": {4: "train"}}, "the image at position 9 has no split"),
        ({"split_of": np.array(["train"])}, r"splits are \(1,\), not \(2,\): one for each image"),
    ],
)
def test_input_that_does_not_fit_is_refused_in_one_line(changed: dict[str, Any], message: str) -> None:
    assert find_label_issues(**GOOD) == []  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message) as raised:
        find_label_issues(**GOOD | changed)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


# -- labels flipped on purpose


def flipped(labels: Array, share: float, seed: int) -> tuple[Array, Array]:
    """Labels of which a share got another class, and which ones did, bool (n,)."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(labels), size=round(share * len(labels)), replace=False)
    wrong, where = labels.copy(), np.zeros(len(labels), dtype=bool)
    wrong[chosen] = (labels[chosen] + rng.integers(1, labels.max() + 1, size=len(chosen))) % (labels.max() + 1)
    where[chosen] = True
    return wrong, where


def out_of_fold(features: Array, labels: Array) -> Array:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1))
    with threadpool_limits(1):  # so small a fit is several times slower on more
        result: Array = cross_val_predict(model, features, labels, cv=5, method="predict_proba")
    return result


def digits() -> tuple[Array, Array]:
    features, labels = load_digits(return_X_y=True)
    return features[::2], labels[::2]


def unequal() -> tuple[Array, Array]:
    """Three classes, of which one has a twelfth of the images."""
    result: tuple[Array, Array] = make_classification(
        1200, 12, n_informative=8, n_classes=3, n_clusters_per_class=1, weights=[0.6, 0.32, 0.08],
        class_sep=2.5, flip_y=0.0, random_state=1,
    )  # fmt: skip
    return result


def two_classes() -> tuple[Array, Array]:
    result: tuple[Array, Array] = make_classification(
        800, 10, n_informative=6, n_clusters_per_class=1, class_sep=2.0, flip_y=0.0, random_state=2
    )
    return result


DRAWS = 4


@pytest.mark.parametrize("data", [digits, unequal, two_classes])
def test_most_flipped_labels_are_found_and_stand_first(data: Any) -> None:
    """Of several draws together: in a single one the recall is anything from 0.6 to 0.9, as 40 to 60 are flipped.

    Those that are missed reach no class's threshold; none is counted to the class it was flipped to.
    """
    features, truth = data()
    flips, doubted, head, right = 0, 0, 0, 0
    for seed in range(DRAWS):
        labels, wrong = flipped(truth, 0.05, seed)
        issues = find(out_of_fold(features, labels), labels)
        caught = [issue for issue in issues if wrong[issue.position]]
        flips += wrong.sum()
        doubted += len(caught)
        head += sum(wrong[issue.position] for issue in issues[: wrong.sum()])
        right += sum(NAMES.index(issue.suggested) == truth[issue.position] for issue in caught)
    assert doubted >= 0.7 * flips
    assert head >= 0.6 * flips
    assert right >= 0.9 * doubted


def test_the_share_of_doubted_labels_grows_with_that_of_flipped_ones() -> None:
    features, truth = two_classes()
    result = []
    for share in (0.0, 0.05, 0.15):
        labels, _ = flipped(truth, share, seed=0)
        result.append(len(find(out_of_fold(features, labels), labels)) / len(labels))
    assert result == sorted(result)
    assert result[0] <= 0.01
    assert 0.02 <= result[1] <= 0.07
    assert 0.08 <= result[2] <= 0.2


@pytest.mark.parametrize("data", [digits, two_classes])
def test_right_labels_of_sharp_classes_are_seldom_doubted(data: Any) -> None:
    features, labels = data()
    assert len(find(out_of_fold(features, labels), labels)) <= 0.05 * len(labels)


def test_classes_that_are_told_apart_without_fail_have_no_issue() -> None:
    labels = np.arange(60) % 3
    assert not find(np.eye(3)[labels], labels)


# -- CSV


def test_csv_reads_back() -> None:
    rng = np.random.default_rng(5)
    probabilities, labels = rng.dirichlet(np.ones(3), size=80).astype(np.float32), rng.integers(0, 3, size=80)
    names = ("invasive ductal carcinoma", 'grade "2", mixed', "übrige")
    splits = np.where(np.arange(80) < 50, "train", "val")
    issues = find_label_issues(probabilities, labels, np.arange(80) + 100, names, splits)
    assert issues
    table = pd.read_csv(io.StringIO(issues_to_csv(issues)))
    assert tuple(table.columns) == COLUMNS
    assert table["rank"].tolist() == list(range(1, len(issues) + 1))
    for column in COLUMNS[1:]:
        expected = [getattr(issue, column) for issue in issues]
        assert table[column].tolist() == (
            pytest.approx(expected, abs=1e-6) if isinstance(expected[0], float) else expected
        )
    assert set(table["label"]) == set(names)


def test_csv_of_no_issue_has_its_heading() -> None:
    assert issues_to_csv([]) == ",".join(COLUMNS) + "\n"
