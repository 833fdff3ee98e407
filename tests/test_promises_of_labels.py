"""A small, seeded part of benchmarks/promises about several labels an image, and about cases of several images."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.promises import cases, label_decisions, label_intervals
from benchmarks.promises.cases import CaseCondition
from benchmarks.promises.intervals import BELOW, HOLDS, judge
from benchmarks.promises.label_world import LabelCondition
from medray.stats.case_rule import MAX, MEAN, NOISY_OR


@pytest.fixture
def few_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_intervals, "EVERY", 60_000)
    monkeypatch.setattr(label_decisions, "NEW", 2000)
    monkeypatch.setattr(cases, "NEW", 1000)


def test_labels_go_together_and_images_of_a_patient_are_alike() -> None:
    predictions, groups = LabelCondition(2, 900, 300, 0.7, 3, 0.2).draw(30_000, np.random.default_rng(0))
    assert groups is not None
    assert np.bincount(groups).tolist() == [3] * 10_000
    labels = predictions.labels.astype(np.float64)
    assert (labels == -1).mean() == pytest.approx(0.2, abs=0.01)
    labels[labels < 0] = np.nan
    assert np.nanmean(labels, axis=0) == pytest.approx([1 / 3, 1 / 3], abs=0.02)

    def agreement(left: np.ndarray, right: np.ndarray) -> float:
        known = ~np.isnan(left + right)
        return float(np.corrcoef(left[known], right[known])[0, 1])

    assert agreement(labels[:, 0], labels[:, 1]) == pytest.approx(0.48, abs=0.03)  # of latent numbers it is 0.7
    assert agreement(labels[::3, 0], labels[1::3, 0]) == pytest.approx(0.33, abs=0.03)  # and 0.5
    apart, _ = LabelCondition(2, 900, 300, 0.0, 1).draw(30_000, np.random.default_rng(0))
    assert abs(np.corrcoef(apart.labels.T)[0, 1]) < 0.03


@pytest.mark.usefixtures("few_new")
@pytest.mark.parametrize(
    "condition", [LabelCondition(4, 200, 60, 0.7, 1), LabelCondition(3, 200, 50, 0.7, 2, 0.2)]
)
def test_intervals_of_labels_hold_the_truth(condition: LabelCondition) -> None:
    measured = label_intervals.measure_condition(condition, 40, np.random.default_rng(1))
    assert list(measured) == list(label_intervals.SCORES)
    for name, figure in measured.items():
        assert len(figure.printed) >= 35, name
        assert judge(figure) == [], name
    assert np.mean([figure.holds.mean() for figure in measured.values()]) >= 0.93


@pytest.mark.usefixtures("few_new")
def test_intervals_of_a_label_that_miss_break_the_promise() -> None:
    condition = LabelCondition(3, 200, 60, 0.0, 1)
    figure = label_intervals.measure_condition(condition, 20, np.random.default_rng(2))["auc"]
    assert judge(figure) == []
    figure.sides[:] = np.repeat([BELOW, HOLDS], [8, 12])
    assert judge(figure)[0] == "coverage is 0.600 ± 0.219"


@pytest.mark.usefixtures("few_new")
@pytest.mark.parametrize(
    ("condition", "promising"),
    [(LabelCondition(4, 200, 15, 0.7, 1, 0.2), 0.4), (LabelCondition(4, 300, 90, 0.7, 3), 1.0)],
)
def test_decisions_of_labels_keep_their_promise(condition: LabelCondition, promising: float) -> None:
    """Rare labels, some of which promise nothing at 0.9 and most at 0.95; and labels of patients."""
    results = label_decisions.measure_condition(condition, 40, np.random.default_rng(3))
    assert label_decisions.broken_promises(results) == []
    for promise in label_decisions.PROMISES:
        true = label_decisions.rates_of(results, promise, 0.9)
        assert len(true) >= 30, promise
        assert 0.88 < true.mean() < 0.96, promise
    listed = [len(result.rates["having", 0.9]) for result in results]
    assert np.sum(listed) >= promising * 40 * condition.labels
    row = label_decisions.row_of(condition, results)
    assert len(row) == len(label_decisions.COLUMNS)
    assert ("(of" in row[len(condition.cells)]) == (promising < 1)


@pytest.mark.usefixtures("few_new")
def test_a_label_that_is_missed_breaks_each_promise() -> None:
    results = label_decisions.measure_condition(LabelCondition(3, 200, 60, 0.0, 1), 12, np.random.default_rng(4))
    for result in results:
        for key, values in result.rates.items():
            result.rates[key] = [value - 0.1 for value in values]
    lines = [line.split(" is ")[0] for line in label_decisions.broken_promises(results)]
    titles = label_decisions.PROMISES.values()
    assert lines == [f"{title} {target}" for title in titles for target in (0.9, 0.95)]


@pytest.mark.usefixtures("few_new")
@pytest.mark.parametrize("answer", [MEAN, MAX, NOISY_OR])
def test_decisions_by_case_keep_their_promise(answer: str) -> None:
    condition = CaseCondition(answer, 120, 0.4, 3, 0.4)
    results = cases.measure_condition(condition, 40, np.random.default_rng(5))
    assert cases.broken_promises(results) == []
    assert np.mean([0.9 in result.sensitivity for result in results]) > 0.9
    assert 0.88 < np.mean([result.covered[0.9] for result in results]) < 0.96
    assert len(cases.row_of(condition, results)) == len(cases.COLUMNS)
    missed = [
        replace(result, covered={key: value - 0.1 for key, value in result.covered.items()}) for result in results
    ]
    assert [line.split(" is ")[0] for line in cases.broken_promises(missed)] == ["coverage 0.9", "coverage 0.95"]
