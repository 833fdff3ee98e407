"""The AUC of each cut: its value, its interval by patient, and the table with the points that are set on one."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medray._types import Array
from medray.decisions.thresholds import Rule, set_point
from medray.evaluate.cut_scores import CutScores, cut_columns
from medray.stats.events import Event
from medray.stats.scores import Predictions

NAMES = ("0", "1", "2", "3")
EVENTS = [Event.at(index, NAMES, cut=True) for index in (1, 2, 3)]


def drawn(rng: np.random.Generator, patients: int, each: int = 1) -> tuple[Predictions, Array]:
    """A model whose answers are alike within a patient."""
    groups = np.repeat(np.arange(patients), each)
    labels = (np.arange(patients) % 4)[groups]
    seen = labels + rng.normal(size=patients)[groups] + 0.5 * rng.normal(size=len(groups))
    powers = np.exp(-((seen[:, None] - np.arange(4)) ** 2))
    return Predictions(powers / powers.sum(axis=1, keepdims=True), labels, 4), groups


def test_each_is_that_of_the_summed_probability() -> None:
    model, _ = drawn(np.random.default_rng(0), 120)
    for index, event in enumerate(EVENTS, start=1):
        cut = CutScores.of(event, model)
        expected = roc_auc_score(model.labels >= index, model.probabilities[:, index:].sum(axis=1))
        assert cut.auc.value == pytest.approx(expected, abs=1e-9)
        assert cut.images == (model.labels >= index).sum()
        assert CutScores.from_dict(json.loads(json.dumps(cut.to_dict()))) == cut


@pytest.mark.parametrize("each", [1, 4])
def test_its_interval_holds_the_truth_19_times_in_20_by_patient(each: int) -> None:
    rng, draws = np.random.default_rng(1), 200
    truth = [CutScores.of(event, drawn(rng, 20_000)[0]).auc.value for event in EVENTS]
    held = np.zeros(3)
    for _ in range(draws):
        model, groups = drawn(rng, 100, each)
        for index, event in enumerate(EVENTS):
            auc = CutScores.of(event, model, groups if each > 1 else None).auc
            assert auc.low is not None
            assert auc.high is not None
            held[index] += auc.low <= truth[index] <= auc.high
    assert (held / draws >= 0.915).all()
    assert (held / draws <= 0.99).all()


def test_few_cases_above_a_cut_have_no_interval() -> None:
    model, _ = drawn(np.random.default_rng(2), 36)
    cuts = [CutScores.of(event, model) for event in EVENTS]
    assert [cut.auc.low is None for cut in cuts] == [True, False, True]  # 9 below the first, 9 above the last
    assert cuts[2].auc.reason == "9 images of a class: too few"


def test_the_table_has_rates_where_a_point_is_set() -> None:
    model, _ = drawn(np.random.default_rng(3), 120)
    cuts = [CutScores.of(event, model) for event in EVENTS]
    points = [
        set_point(rule, model.probabilities, model.labels, NAMES, positive, "calibration", cut=True)
        for rule, positive in ((Rule("sensitivity", 0.9), "2"), (Rule("youden"), "3"))
    ]
    columns = dict(cut_columns(cuts, [(point, point.rates) for point in points]))
    assert list(columns)[:2] == ["images", "AUC"]
    filled = {title: [cell != "–" for cell in cells] for title, cells in columns.items()}
    assert filled["sensitivity\n(sensitivity 0.9)"] == [False, True, False]
    assert filled["specificity\n(youden)"] == [False, False, True]
