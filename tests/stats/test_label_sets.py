"""Metrics of several labels an image: against scikit-learn, with labels that are unknown or lacking."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from medray._types import Array
from medray.errors import DataError
from medray.stats.label_set_predictions import LabelSetPredictions
from medray.stats.label_sets import CALLED, average_precision, label_set_metrics
from medray.stats.score_names import LABEL_SETS
from tests.label_set_samples import LabelSetWorld

Case = tuple[Array, Array]


@st.composite
def cases(draw: st.DrawFn, *, unknown: bool = True) -> Case:
    """Probabilities (n, labels) with ties, and labels; a label may be lacking or on every image."""
    count, classes = draw(st.integers(1, 25)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 7, 1000]))
    table = (rng.integers(0, levels + 1, size=(count, classes)) / levels).astype(
        draw(st.sampled_from([np.float32, np.float64]))
    )
    labels = (rng.random((count, classes)) < rng.random(classes)).astype(np.int64)
    if unknown:
        labels[rng.random(labels.shape) < 0.2] = -1
    if not (labels >= 0).any():
        labels[0, 0] = 1
    return table, labels


@settings(deadline=None, max_examples=100)
@given(cases())
def test_metrics_are_those_of_scikit_learn(case: Case) -> None:
    table, labels = case
    exact, known = table.astype(np.float64), labels >= 0
    by_label = [(exact[k, i], labels[k, i]) for i, k in enumerate(known.T)]
    both = [(p, y) for p, y in by_label if len(set(y.tolist())) == 2]
    some = [(p, y) for p, y in by_label if y.sum()]
    found = label_set_metrics(table, labels)
    assert list(found) == list(LABEL_SETS)

    def same(name: str, values: list[float]) -> None:
        assert found[name] == pytest.approx(np.mean(values) if values else np.nan, abs=1e-9, nan_ok=True)

    same("auc", [reference.roc_auc_score(y, p) for p, y in both])
    same("average_precision", [reference.average_precision_score(y, p) for p, y in some])
    same("f1_macro", [reference.f1_score(y, p >= CALLED) for p, y in some])
    pooled, truth = exact[known], labels[known]
    same("auc_micro", [reference.roc_auc_score(truth, pooled)] if len(set(truth.tolist())) == 2 else [])
    same(
        "f1_micro",
        [reference.f1_score(truth, pooled >= CALLED)] if truth.any() or (pooled >= CALLED).any() else [],
    )
    right = np.where(truth == 1, pooled, 1 - pooled).clip(np.finfo(np.float32).eps, 1)
    same("log_loss", [-np.log(right).mean()])
    if known.all():
        same("exact_match", [reference.accuracy_score(labels, exact >= CALLED)])


@settings(deadline=None, max_examples=60)
@given(cases())
def test_counted_once_the_scores_are_the_metrics_and_counts_are_copies(case: Case) -> None:
    table, labels = case
    predictions = LabelSetPredictions(table, labels, table.shape[1])
    metrics, scores = label_set_metrics(table, labels), predictions.scores()
    for name, value in metrics.items():
        assert scores[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name
    counts = np.random.default_rng(len(labels)).integers(0, 3, len(labels))
    counts[0] = 1
    if (labels[counts > 0] >= 0).any():
        copies = np.repeat(np.arange(len(labels)), counts)
        copied = LabelSetPredictions(table[copies], labels[copies], table.shape[1]).scores()
        for name, value in predictions.scores(counts).items():
            assert value == pytest.approx(copied[name], abs=1e-9, nan_ok=True), name


@settings(deadline=None, max_examples=40)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_labels_changes_no_score(case: Case, random: Random) -> None:
    table, labels = case
    order = list(range(table.shape[1]))
    random.shuffle(order)
    moved = label_set_metrics(table[:, order], labels[:, order])
    for name, value in label_set_metrics(table, labels).items():
        assert moved[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_what_is_unknown_changes_nothing() -> None:
    predictions, _ = LabelSetWorld(80, 1, (0.3, 0.2, 0.4), unknown=0.3).draw(np.random.default_rng(0))
    changed = np.where(predictions.labels < 0, 1 - predictions.probabilities, predictions.probabilities)
    again = LabelSetPredictions(changed, predictions.labels, 3)
    for name, value in predictions.scores().items():
        assert again.scores()[name] == pytest.approx(value, abs=1e-9), name
    assert (again.confusion == predictions.confusion).all()
    assert (predictions.confusion.sum(axis=1) == (predictions.labels >= 0).sum(axis=0)).all()


def test_a_label_without_images_is_in_no_mean() -> None:
    predictions, _ = LabelSetWorld(60, 1, (0.3, 0.4)).draw(np.random.default_rng(1))
    table = np.column_stack([predictions.probabilities, np.full(60, 0.2, dtype=np.float32)])
    labels = np.column_stack([predictions.labels, np.zeros(60, dtype=np.int64)])
    wider = LabelSetPredictions(table, labels, 3)
    for name in ("auc", "average_precision", "f1_macro"):
        assert wider.scores()[name] == pytest.approx(predictions.scores()[name])
    assert average_precision(table[:, 2], labels[:, 2] == 1) != average_precision(table[:, 2], labels[:, 2] == 1)


@pytest.mark.parametrize(
    ("table", "labels", "line"),
    [
        (np.full((2, 2), 1.5), np.zeros((2, 2), dtype=int), "probabilities must lie between 0 and 1"),
        (np.full((2, 2), np.nan), np.zeros((2, 2), dtype=int), "probabilities must lie between 0 and 1"),
        (np.full((2, 2), 0.5), np.zeros((2, 3), dtype=int), "not whole numbers (2, 2)"),
        (np.full((2, 2), 0.5), np.full((2, 2), 2), "labels run from 2 to 2, not from -1 to 1"),
        (np.zeros((0, 2)), np.zeros((0, 2), dtype=int), "there is no image"),
    ],
)
def test_what_can_not_be_used_is_refused(table: Array, labels: Array, line: str) -> None:
    with pytest.raises(DataError, match=line.replace("(", r"\(").replace(")", r"\)")):
        LabelSetPredictions(table, labels, 2)
