"""Label issues: against the definition, against labels flipped on purpose, and at the edges."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from medray._types import Array
from medray.errors import DataError
from medray.stats.label_issues import COLUMNS, DoubtedLabels, LabelIssue, find_label_issues, issues_to_csv
from medray.stats.label_noise import LabelNoise, fit_label_noise, flip_rate
from tests.label_set_samples import LabelSetWorld

NAMES = tuple("abcdefghij")
Case = tuple[Array, Array]


def find(probabilities: Array, labels: Array) -> list[LabelIssue]:
    """Issues of images at positions 0, 1, ... of one split."""
    return doubt(probabilities, labels).issues


def doubt(probabilities: Array, labels: Array) -> DoubtedLabels:
    names, splits = NAMES[: probabilities.shape[1]], np.full(len(labels), "train")
    return find_label_issues(probabilities, labels, np.arange(len(labels)), names, splits)


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
def test_issues_are_likelier_wrong_than_right_and_say_what_they_are_of(case: Case) -> None:
    probabilities, labels = case
    issues = find(probabilities, labels)
    assert issues == sorted(issues, key=lambda issue: (-issue.wrong_probability, issue.position))
    for issue in issues:
        label, suggested = NAMES.index(issue.label), NAMES.index(issue.suggested)
        row = probabilities[issue.position]
        assert label == labels[issue.position] != suggested
        assert (issue.given_probability, issue.suggested_probability) == (row[label], row[suggested])
        assert 0.5 < issue.wrong_probability <= 1
        assert issue.split == "train"
        assert suggested in labels  # no image shows what a class without an image looks like


def test_labels_that_surest_images_contradict_are_listed_and_those_of_unsure_ones_are_not() -> None:
    sure, unsure = np.tile([[0.999, 0.001]], (100, 1)), np.tile([[0.3, 0.7]], (100, 1))
    labels = np.r_[np.zeros(100), np.arange(100) % 10 >= 3].astype(int)
    assert not find(np.r_[sure, unsure], labels)
    labels[[10, 31, 64, 70, 99]] = 1
    issues = find(np.r_[sure, unsure], labels)
    assert [(i.position, i.label, i.suggested) for i in issues] == [(p, "b", "a") for p in (10, 31, 64, 70, 99)]


def test_the_chance_is_that_of_bayes_theorem() -> None:
    noise = LabelNoise(0.1, np.array([[0.9, 0.06, 0.04], [0.2, 0.3, 0.5]]))
    by_hand = [0.1 * 0.94 / 2 / (0.1 * 0.94 / 2 + 0.9 * 0.06), 0.1 * 0.5 / 2 / (0.1 * 0.5 / 2 + 0.9 * 0.5)]
    assert noise.wrong(np.array([1, 2])) == pytest.approx(by_hand)
    assert not LabelNoise(0.0, np.eye(2)).wrong(np.array([1, 1])).any()


def test_the_rate_lies_below_that_of_the_surest_images() -> None:
    """Of the surest 100 of 400 images five disagree, of the rest half do: Clopper and Pearson's limit of 5 in 100."""
    confidence = np.r_[np.full(100, 0.99), np.full(300, 0.6)]
    labels = np.r_[np.arange(100) < 5, np.arange(300) % 2].astype(int)
    probabilities = np.column_stack([confidence, 1 - confidence])
    assert flip_rate(probabilities, labels) == pytest.approx(beta.ppf(0.05, 5, 96))
    assert flip_rate(probabilities, np.zeros(400, dtype=int)) == 0


# -- edges


def test_equal_images_are_not_doubted() -> None:
    for labels in ([0, 1], [0, 0, 1], [1, 1, 1, 0]):
        assert not find(np.full((len(labels), 2), 0.5), np.array(labels))


def test_a_class_with_no_image_is_never_suggested() -> None:
    probabilities = np.tile([[0.01, 0.01, 0.98], [0.01, 0.01, 0.98]], (20, 1))
    labels = np.tile([0, 1], 20)
    assert not any(issue.suggested == "c" for issue in find(probabilities, labels))
    assert not find(probabilities, np.zeros(40, dtype=np.int64))


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
    assert find_label_issues(**GOOD).issues == []  # type: ignore[arg-type]
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


def unclear() -> tuple[Array, Array]:
    """Two classes of which a model tells four images in five, as of BreastMNIST."""
    result: tuple[Array, Array] = make_classification(
        780, 20, n_informative=5, weights=[0.27, 0.73], class_sep=0.8, flip_y=0.0, random_state=3
    )  # fmt: skip
    return result


DRAWS = 4


@pytest.mark.parametrize(
    ("data", "precision", "recall"),
    [(digits, 0.9, 0.4), (unequal, 0.7, 0.25), (two_classes, 0.7, 0.3), (unclear, 0.45, 0.1)],
)
def test_listed_labels_are_mostly_flipped_ones(data: Any, precision: float, recall: float) -> None:
    """Of several draws together. The list is right, not complete: many that were flipped are not on it."""
    features, truth = data()
    flips, doubted, caught, right = 0, 0, 0, 0
    for seed in range(DRAWS):
        labels, wrong = flipped(truth, 0.05, seed)
        issues = find(out_of_fold(features, labels), labels)
        hits = [issue for issue in issues if wrong[issue.position]]
        flips, doubted, caught = flips + wrong.sum(), doubted + len(issues), caught + len(hits)
        right += sum(NAMES.index(issue.suggested) == truth[issue.position] for issue in hits)
    assert caught >= precision * doubted
    assert caught >= recall * flips
    assert right >= 0.9 * caught


@pytest.mark.parametrize("data", [digits, unequal, two_classes, unclear])
def test_where_no_label_is_flipped_few_are_listed_and_the_expectation_is_kept(data: Any) -> None:
    """What is expected of the first twenty, from right labels, is what flipped ones and new models then give."""
    features, truth = data()
    doubted = doubt(out_of_fold(features, truth), truth)
    assert len(doubted.issues) <= 0.02 * len(truth)
    hits = []
    for seed in range(DRAWS):
        labels, wrong = flipped(truth, 0.05, seed)
        probabilities = out_of_fold(features, labels)
        chances = fit_label_noise(probabilities, labels).probabilities[np.arange(len(labels)), labels]
        hits.append(wrong[np.argsort(chances)[: doubted.first]].sum())
    assert doubted.first == 20
    assert doubted.hits == pytest.approx(np.mean(hits), abs=2)


def test_the_share_of_doubted_labels_grows_with_that_of_flipped_ones() -> None:
    features, truth = two_classes()
    result = []
    for share in (0.0, 0.05, 0.15):
        labels, _ = flipped(truth, share, seed=0)
        result.append(len(find(out_of_fold(features, labels), labels)) / len(labels))
    assert result == sorted(result)
    assert result[0] <= 0.01
    assert 0.01 <= result[1] <= 0.06
    assert 0.06 <= result[2] <= 0.2


def test_classes_that_are_told_apart_without_fail_have_no_issue() -> None:
    labels = np.arange(60) % 3
    assert not find(np.eye(3)[labels], labels)


def test_the_expectation_in_words() -> None:
    doubted = DoubtedLabels([], 20, 6.6)
    assert doubted.expectation == "were 5% of the labels flipped, about 7 of the first 20 would be flipped ones"


# -- CSV


def test_csv_reads_back() -> None:
    rng = np.random.default_rng(5)
    probabilities = (np.eye(3)[np.arange(80) % 3] * 0.9 + rng.dirichlet(np.ones(3), size=80) * 0.1).astype(
        np.float32
    )
    labels = np.where(np.arange(80) % 8 == 0, rng.permutation(np.arange(80) % 3), np.arange(80) % 3)
    names = ("invasive ductal carcinoma", 'grade "2", mixed', "übrige")
    splits = np.where(np.arange(80) < 50, "train", "val")
    issues = find_label_issues(probabilities, labels, np.arange(80) + 100, names, splits).issues
    assert len(issues) >= 2
    table = pd.read_csv(io.StringIO(issues_to_csv(issues)))
    assert tuple(table.columns) == COLUMNS
    assert table["rank"].tolist() == list(range(1, len(issues) + 1))
    for column in COLUMNS[1:]:
        expected = [getattr(issue, column) for issue in issues]
        assert table[column].tolist() == (
            pytest.approx(expected, abs=1e-6) if isinstance(expected[0], float) else expected
        )
    assert set(table["label"]) <= set(names)


def test_csv_of_no_issue_has_its_heading() -> None:
    assert issues_to_csv([]) == ",".join(COLUMNS) + "\n"


# -- several labels an image


@pytest.mark.parametrize("separation", [0.0, 1.0, 4.0])
def test_of_label_sets_without_wrong_labels_hardly_one_is_listed(separation: float) -> None:
    """A model that knows nothing says of each rare label that it is not there, and is mostly right."""
    rates = (0.02, 0.05, 0.1, 0.3)
    listed = []
    for seed in range(3):
        world = LabelSetWorld(600, 1, rates, separation=separation, shared=0.0)
        predictions, _ = world.draw(np.random.default_rng(seed))
        doubted = find_label_issues(
            predictions.probabilities, predictions.labels, np.arange(600), NAMES[:4], np.full(600, "train")
        )
        listed.append(len(doubted.issues))
    assert np.mean(listed) <= 2


def test_of_label_sets_flipped_labels_are_named_with_what_they_should_be() -> None:
    world = LabelSetWorld(600, 1, (0.1, 0.2, 0.4), separation=4.0, shared=0.0)
    predictions, _ = world.draw(np.random.default_rng(0))
    flipped = np.random.default_rng(1).random(predictions.labels.shape) < 0.04
    labels = np.where(flipped, 1 - predictions.labels, predictions.labels)
    labels[::5, 0] = -1
    doubted = find_label_issues(
        predictions.probabilities, labels, np.arange(600), NAMES[:3], np.full(600, "train")
    )
    hits = []
    for issue in doubted.issues:
        (word, name), (other, same) = issue.label.split(), issue.suggested.split()
        column = NAMES.index(name)
        assert (name, {word, other}) == (same, {"with", "without"})
        assert labels[issue.position, column] == (word == "with")
        hits.append(flipped[issue.position, column])
    assert len(hits) > 0.5 * flipped.sum()
    assert np.mean(hits) > 0.9
    chances = [issue.wrong_probability for issue in doubted.issues]
    assert chances == sorted(chances, reverse=True)
    rows = pd.read_csv(io.StringIO(issues_to_csv(doubted.issues)))
    assert list(rows) == list(COLUMNS)
