"""Figures of other images, of classes and of grades: against scikit-learn, and where a class is missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from medray.evaluate.external.class_map import map_classes
from medray.evaluate.external.figures import ExternalFigures, measure_figures

GRADES = ("0", "1", "2", "3")


@given(st.integers(0, 10_000), st.sampled_from(["single", "ordered"]), st.integers(2, 4))
def test_they_are_scikit_learns_and_survive_json(seed: int, task: str, present: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), size=80).astype(np.float32)
    labels = np.concatenate([np.arange(present), rng.integers(0, present, size=80 - present)])
    figures = measure_figures(probabilities, labels, GRADES, task)
    called = probabilities.argmax(axis=1)
    scores = {name: estimate.value for name, estimate in figures.scores.items()}
    assert scores["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, called), abs=1e-9)
    assert scores["f1_macro"] == pytest.approx(
        sklearn_metrics.f1_score(labels, called, average="macro", zero_division=0), abs=1e-9
    )
    if task == "ordered":
        kappa = sklearn_metrics.cohen_kappa_score(labels, called, labels=range(4), weights="quadratic")
        assert scores["quadratic_kappa"] == pytest.approx(kappa, abs=1e-9)
    assert figures.missing_classes == GRADES[present:]
    assert (scores["auc"] is None) == (present < 4)
    assert ExternalFigures.from_dict(figures.to_dict()) == figures


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), min_size=2))
def test_every_class_becomes_one_of_the_runs_or_is_left_out(counts: dict[str, int]) -> None:
    ours = ("x", "y", "a")
    class_map = {name: ("x", "y", None)[i % 3] if i > 1 else ("x", "y")[i] for i, name in enumerate(counts)}
    rows = map_classes(counts, class_map, ours, "table.csv")
    assert {row.theirs: row.images for row in rows} == counts
    assert {row.theirs: row.ours for row in rows} == class_map
