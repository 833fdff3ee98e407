"""Choosing members: top-k, and greedy selection against a plain one that does it by the book."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.ensemble.candidates import Candidate
from medray.ensemble.strategies import LIBRARY, ROUNDS, Weighted, _scorer, greedy, top_k
from medray.errors import DataError
from medray.stats.metrics import all_metrics, log_loss
from medray.stats.score_names import GRADED, PLAIN
from tests.ensemble.candidate_samples import candidates, noisy

OF_CLASSES = {**PLAIN, **GRADED}

Case = tuple[list[Array], Array]


@st.composite
def cases(draw: st.DrawFn, *, most: int = 6, coarse: bool = True) -> Case:
    """A few candidates' probabilities and labels in which each class is; coarse ones are equal often."""
    classes = draw(st.integers(2, 4))
    images = draw(st.integers(classes, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.append(np.arange(classes), rng.integers(0, classes, size=images - classes))
    parts = []
    for _ in range(draw(st.integers(1, most))):
        if coarse:  # eighths: their sums are exact
            rows = rng.multinomial(8, np.full(classes, 1 / classes), size=images) / 8
            parts.append(rows.astype(np.float32))
        else:
            parts.append(noisy(rng, labels, classes, rng.uniform(0, 2)))
    if draw(st.booleans()):
        parts.append(parts[0])
    return parts, labels


def mean_of(selected: Weighted) -> Array:
    """The weighted mean, float64, which selection looks at."""
    total = sum(weight * candidate.probabilities.astype(np.float64) for candidate, weight in selected)
    return np.asarray(total) / sum(weight for _, weight in selected)


# -- top-k


@given(st.integers(1, 8), st.integers(1, 8))
def test_top_k_is_the_first_ones_with_equal_weights(count: int, k: int) -> None:
    library = candidates([np.full((6, 2), 0.5, dtype=np.float32)] * count)
    selected = top_k(library, np.arange(6) % 2, "auc", k)
    assert [(candidate.number, weight) for candidate, weight in selected] == [
        (i, 1.0) for i in range(min(k, count))
    ]


@settings(deadline=None, max_examples=30)
@given(cases(), st.sampled_from(list(OF_CLASSES)), st.integers(1, 6))
def test_the_best_is_always_in_a_top_k_and_no_more_than_k_are(case: Case, metric: str, k: int) -> None:
    parts, labels = case
    library = candidates(parts)
    selected = [candidate.number for candidate, _ in top_k(library, labels, metric, k)]
    assert selected[0] == 0
    assert selected == sorted(selected)
    assert len(selected) <= k
    assert set(selected) <= set(range(len(library)))


@pytest.mark.parametrize("metric", ["auc", "log_loss", "f1_macro"])
def test_what_is_clearly_worse_is_not_averaged(metric: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    good, poor = noisy(rng, labels, 3, 3.0), noisy(rng, labels, 3, 0.2)
    as_good = np.roll(good, 3, axis=0)  # the same answers to other images of each class
    selected = top_k(candidates([good, poor, as_good]), labels, metric, 3)
    assert [candidate.number for candidate, _ in selected] == [0, 2]


def test_nothing_is_called_worse_where_a_class_has_no_images() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros(30, dtype=np.int64)
    parts = [noisy(rng, labels, 2, signal) for signal in (3.0, -3.0)]
    assert len(top_k(candidates(parts), labels, "auc", 2)) == 2


# -- greedy


def plain_greedy(library: list[Candidate], labels: Array, metric: str) -> list[tuple[int, float]]:
    """Caruana et al. 2004, figure 1: every bag is averaged from scratch, and the best of all bags is kept."""
    sign = 1 if OF_CLASSES[metric] == "max" else -1
    bag: list[int] = []
    best, best_bag = (-np.inf, -np.inf), bag
    while len(bag) < 20 and len(bag) - len(best_bag) < 5:
        tried = []
        for number, candidate in enumerate(library):
            members = [*(library[i] for i in bag), candidate]
            mean = np.sum([m.probabilities.astype(np.float64) for m in members], axis=0) / len(members)
            value = round(sign * all_metrics(mean, labels)[metric], 11)
            tried.append((value, round(-log_loss(mean, labels), 11), -number))
        value, loss, negative_number = max(tried)
        bag = [*bag, -negative_number]
        if (value, loss) > best:
            best, best_bag = (value, loss), bag
    return [(i, float(best_bag.count(i))) for i in sorted(set(best_bag))]


@settings(deadline=None, max_examples=40)
@given(cases(), st.sampled_from(list(OF_CLASSES)))
def test_greedy_is_the_plain_one(case: Case, metric: str) -> None:
    parts, labels = case
    library = candidates(parts)
    selected = [(candidate.number, weight) for candidate, weight in greedy(library, labels, metric)]
    assert selected == plain_greedy(library, labels, metric)


@settings(deadline=None, max_examples=40)
@given(st.booleans().flatmap(lambda coarse: cases(most=8, coarse=coarse)), st.sampled_from(list(OF_CLASSES)))
def test_greedy_is_never_worse_than_the_best_single_one(case: Case, metric: str) -> None:
    """Whatever the order that the candidates come in: folded settings come by the mean over their folds."""
    parts, labels = case
    sign = 1 if OF_CLASSES[metric] == "max" else -1
    selected = greedy(candidates(parts), labels, metric)
    singles = [sign * all_metrics(part.astype(np.float64), labels)[metric] for part in parts]
    assert sign * all_metrics(mean_of(selected), labels)[metric] >= max(singles) - 1e-9
    weights = [weight for _, weight in selected]
    assert all(weight == int(weight) >= 1 for weight in weights)
    assert sum(weights) <= ROUNDS
    assert len({candidate.number for candidate, _ in selected}) == len(selected)


@settings(deadline=None, max_examples=40)
@given(st.booleans().flatmap(lambda coarse: cases(coarse=coarse)), st.sampled_from(list(OF_CLASSES)))
def test_the_metric_alone_is_the_metric(case: Case, metric: str) -> None:
    """Of the mean of the first one, taken three times, and each candidate."""
    parts, labels = case
    total = 3 * parts[0].astype(np.float64)
    expected = [all_metrics((total + part) / 4, labels)[metric] for part in parts]
    scores = _scorer(metric, candidates(parts), labels)(total, 4)
    assert scores.tolist() == pytest.approx(expected, rel=0, abs=1e-12)


def test_weights_count_how_often_a_candidate_was_taken() -> None:
    """The least loss is where the first has a weight of 17/24: two images of three are its own."""
    labels = np.zeros(3, dtype=np.int64)
    first, second = (
        np.array([[p, 1 - p] for p in column], np.float32) for column in ((0.9, 0.9, 0.1), (0.1, 0.1, 0.9))
    )
    selected = greedy(candidates([first, second]), labels, "log_loss")
    weights = {column.number: weight for column, weight in selected}
    assert weights[0] / sum(weights.values()) == pytest.approx(17 / 24, abs=0.03)
    assert weights[0] > weights[1] > 1


def test_of_equal_candidates_the_one_of_the_least_log_loss_is_taken() -> None:
    labels = np.array([0, 1, 0, 1])
    sure = [np.where(labels[:, None] == [0, 1], p, 1 - p).astype(np.float32) for p in (0.6, 0.9, 0.8)]
    for metric in ("accuracy", "auc", "f1_macro"):
        assert [(candidate.number, weight) for candidate, weight in greedy(candidates(sure), labels, metric)] == [
            (1, 1.0)
        ]


def test_of_those_that_are_equal_in_all_the_first_is_taken() -> None:
    part = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
    assert [candidate.number for candidate, _ in greedy(candidates([part] * 3), np.array([0, 1]), "accuracy")] == [
        0
    ]


@pytest.mark.parametrize(("number", "taken"), [(LIBRARY - 1, True), (LIBRARY, False)])
def test_only_the_best_hundred_take_part(number: int, taken: bool) -> None:
    labels = np.arange(12) % 2
    parts = [np.full((12, 2), 0.5, np.float32)] * (LIBRARY + 5)
    parts[number] = np.eye(2, dtype=np.float32)[labels]
    selected = greedy(candidates(parts), labels, "accuracy")
    assert (number in [candidate.number for candidate, _ in selected]) == taken


def test_what_can_not_be_measured_is_refused() -> None:
    part = np.full((3, 2), 0.5, np.float32)
    with pytest.raises(DataError, match="auc can't be measured on these 3 images: a class has none"):
        greedy(candidates([part]), np.zeros(3, dtype=np.int64), "auc")
    with pytest.raises(DataError, match="no candidates: there is nothing to select from"):
        greedy([], np.zeros(3, dtype=np.int64), "accuracy")


def test_the_candidates_are_left_as_they_were() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    parts = [noisy(rng, labels, 3, 1.0) for _ in range(4)]
    before = [part.copy() for part in parts]
    greedy(candidates(parts), labels, "auc")
    assert all(np.array_equal(*pair) for pair in zip(parts, before, strict=True))
