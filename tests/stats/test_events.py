"""Events: a class, or a grade and all above it; and the metrics of grades against scikit-learn."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from medray.errors import ConfigError, DataError
from medray.stats.events import Event
from medray.stats.metrics import all_metrics, confusion_matrix, grade_metrics
from medray.tasks import ORDERED, SINGLE, TASKS

GRADES = ("none", "mild", "moderate", "severe")


def test_events_of_each_task() -> None:
    assert [event.name for event in SINGLE.events(GRADES)] == list(GRADES)
    assert [event.name for event in ORDERED.events(GRADES)] == ["mild or more", "moderate or more", "severe"]
    assert Event.named("severe", GRADES, cut=True) == Event("severe", 3, and_above=True)
    assert Event.named("none", GRADES) == Event("none", 0)


@given(st.integers(3, 7), st.integers(0, 2**32 - 1))
def test_a_cuts_probability_is_that_of_its_grades_and_falls_with_the_grade(grades: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [str(grade) for grade in range(grades)]
    probabilities = rng.dirichlet(np.full(grades, 0.3), 30).astype(np.float32)
    labels = rng.integers(0, grades, 30)
    scores = [event.scores(probabilities) for event in ORDERED.events(names)]
    for index, (event, score) in enumerate(zip(ORDERED.events(names), scores, strict=True), start=1):
        assert np.array_equal(event.of(labels), labels >= index)
        assert score == pytest.approx(probabilities[:, index:].sum(axis=1, dtype=float), abs=1e-6)
        assert score.dtype == np.float64
    assert (np.diff(scores, axis=0) <= 0).all()
    assert ((np.array(scores) >= 0) & (np.array(scores) <= 1)).all()
    for index, event in enumerate(SINGLE.events(names)):
        assert np.array_equal(event.of(labels), labels == index)
        assert np.array_equal(event.scores(probabilities), probabilities[:, index].astype(float))


def test_what_can_be_no_event() -> None:
    with pytest.raises(
        ConfigError, match="'none' is the lowest grade, and every image is of it or more; valid: mild"
    ):
        Event.named("none", GRADES, cut=True)
    with pytest.raises(ConfigError, match="'milde'"):
        Event.named("milde", GRADES, cut=True)
    with pytest.raises(DataError, match="probabilities are of 3 classes; 'severe' is at 3"):
        Event.named("severe", GRADES, cut=True).scores(np.full((2, 3), 1 / 3))


@pytest.mark.parametrize("task", TASKS)
def test_events_survive_json(task: str) -> None:
    for event in TASKS[task].events(GRADES):
        assert Event.from_dict(json.loads(json.dumps(event.to_dict()))) == event


@given(st.integers(3, 8), st.integers(2, 60), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0, 4.0]))
def test_metrics_of_grades_are_those_of_scikit_learn(grades: int, count: int, seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, grades, count)
    called = np.clip(np.rint(labels + noise * rng.normal(size=count)), 0, grades - 1).astype(int)
    metrics = grade_metrics(confusion_matrix(labels, called, grades))
    assert metrics["grade_error"] == pytest.approx(mean_absolute_error(labels, called), abs=1e-9)
    assert metrics["within_one"] == pytest.approx((abs(labels - called) <= 1).mean(), abs=1e-9)
    if len({*labels, *called}) > 1:
        expected = cohen_kappa_score(labels, called, labels=range(grades), weights="quadratic")
        assert metrics["quadratic_kappa"] == pytest.approx(expected, abs=1e-9)
        turned = grade_metrics(confusion_matrix(grades - 1 - labels, grades - 1 - called, grades))
        assert turned["quadratic_kappa"] == pytest.approx(expected, abs=1e-9)
    else:
        assert np.isnan(metrics["quadratic_kappa"])


def test_a_task_measures_its_own_metrics() -> None:
    probabilities, labels = np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 2, 0])
    measured = all_metrics(probabilities, labels)
    for task in (SINGLE, ORDERED):
        assert task.measure(probabilities, labels) == {name: measured[name] for name in task.metrics}
        assert set(task.shown) <= set(task.metrics)
    assert "quadratic_kappa" not in SINGLE.measure(probabilities, labels)
    assert set(ORDERED.measure_defined(probabilities, labels)) == {*ORDERED.metrics, "brier"}
