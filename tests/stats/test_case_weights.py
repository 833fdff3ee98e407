"""How much images weigh: shares of one, that an image's order or a second formula does not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.stats.case_rule import ATTENTION, CLASSES, GRADES, LABEL_SETS, MAX, MEAN, NOISY_OR, CaseRule
from medray.stats.case_weights import case_weights
from medray.stats.cases import CaseIndex
from medray.stats.outputs import Outputs
from tests.stats.test_cases import RULES, SEEDS, drawn


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.sampled_from(RULES))
def test_weights_of_a_case_sum_to_one_and_go_with_the_image(seed: int, rule: CaseRule) -> None:
    table, index = drawn(seed, rule.kind)
    scores = np.random.default_rng(seed).normal(size=len(table)) if rule.answer == ATTENTION else None
    outputs = Outputs(table, scores)
    weights = case_weights(CaseIndex(rule, index), outputs)
    assert weights.shape == table.shape
    assert (weights >= 0).all()
    for case in np.unique(index):
        assert weights[index == case].sum(axis=0) == pytest.approx(1, abs=1e-9)
    order = np.random.default_rng(seed).permutation(len(table))
    again = case_weights(CaseIndex(rule, index[order]), outputs.at(order))
    assert again == pytest.approx(weights[order], abs=1e-9)


def test_an_image_weighs_by_the_event_that_its_case_is_judged_by() -> None:
    table, index = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], dtype=np.float32), np.zeros(3, dtype=np.int64)

    def weights(answer: str, kind: str, normal: int | None = None) -> list[list[float]]:
        rule = CaseRule("patient", answer, kind, normal)
        return case_weights(CaseIndex(rule, index), Outputs(table)).T.tolist()

    assert weights(MEAN, CLASSES)[0] == pytest.approx([1 / 3] * 3)
    assert weights(MAX, LABEL_SETS) == [[1, 0, 0], [0, 1, 0]]
    assert weights(MAX, CLASSES, 0) == [[0, 1, 0], [0, 1, 0]]  # least normal
    assert weights(MAX, GRADES) == [[0, 1, 0], [0, 1, 0]]
    logs = -np.log1p(-table[:, 1].astype(float))
    assert weights(NOISY_OR, LABEL_SETS)[1] == pytest.approx(logs / logs.sum())
