"""Answers and labels of cases: what must hold for all images, whatever the rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray._types import Array
from medray.errors import ConfigError, DataError
from medray.stats.case_rule import (
    ANSWERS,
    ATTENTION,
    CLASSES,
    GRADES,
    KINDS,
    LABEL_SETS,
    MAX,
    MEAN,
    MEANS,
    NOISY_OR,
    CaseRule,
)
from medray.stats.case_weights import case_weights
from medray.stats.cases import DIFFERS, CaseIndex, answer_cases, differing_cases, label_cases, number_cases
from medray.stats.outputs import Outputs

RULES = [
    CaseRule("patient", answer, kind, 0 if kind == CLASSES else None) for answer in ANSWERS for kind in KINDS
] + [CaseRule("patient", answer, CLASSES) for answer in MEANS]
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, kind: str) -> tuple[Array, Array]:
    """Probabilities float32 (N, K), some of them 0 or 1, and the case of each image (N,)."""
    rng = np.random.default_rng(seed)
    count, classes = int(rng.integers(1, 40)), int(rng.integers(2, 6))
    if kind == LABEL_SETS:
        table = rng.choice([0.0, 1.0, rng.random()], size=(count, classes)) * rng.random((count, 1)).round(1)
    else:
        table = rng.dirichlet(np.full(classes, rng.choice([0.02, 1.0])), size=count)
    return table.astype(np.float32), number_cases(rng.integers(0, 12, size=count))


def scored(seed: int, rule: CaseRule, count: int) -> Array | None:
    """Scores of images (count,) that the rule needs, some of them far apart."""
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.0, 1.0, 1000.0])
    return rng.normal(0, spread, size=count).astype(np.float32) if rule.answer == ATTENTION else None


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.sampled_from(RULES))
def test_answers_are_probabilities_and_the_order_of_images_never_matters(seed: int, rule: CaseRule) -> None:
    table, index = drawn(seed, rule.kind)
    scores = scored(seed, rule, len(table))
    answers = answer_cases(table, index, rule, scores)
    assert answers.dtype == np.float32
    assert answers.shape == (index.max() + 1, table.shape[1])
    assert (answers >= 0).all()
    assert (answers <= 1).all()
    if rule.kind != LABEL_SETS:
        assert answers.sum(axis=1) == pytest.approx(1, abs=1e-5)
    order = np.random.default_rng(seed).permutation(len(table))
    ordered_scores = None if scores is None else scores[order]
    assert (answer_cases(table[order], index[order], rule, ordered_scores) == answers).all()


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.sampled_from(RULES))
def test_a_case_of_one_image_or_of_equal_images_in_a_mean_or_max_answers_as_the_image(
    seed: int, rule: CaseRule
) -> None:
    table, index = drawn(seed, rule.kind)
    scores = scored(seed, rule, len(table))
    assert (answer_cases(table, np.arange(len(table)), rule, scores) == table).all()
    counts = np.bincount(index)
    answers = answer_cases(table, index, rule, scores)
    alone = counts[index] == 1
    assert (answers[index[alone]] == table[alone]).all()
    if rule.answer in MEANS or (rule.answer == MAX and rule.kind != CLASSES):
        pairs = scored(seed, rule, 2 * len(table))
        twice = answer_cases(np.repeat(table, 2, axis=0), np.repeat(np.arange(len(table)), 2), rule, pairs)
        assert twice == pytest.approx(table, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.sampled_from([rule for rule in RULES if rule.answer not in MEANS]))
def test_events_are_those_of_the_formulas_image_by_image(seed: int, rule: CaseRule) -> None:
    table, index = drawn(seed, rule.kind)
    exact, answers = table.astype(float), answer_cases(table, index, rule).astype(float)

    def event(p: Array) -> float:
        return float(p.max() if rule.answer == MAX else 1 - np.prod(1 - p))

    for case in range(index.max() + 1):
        images = exact[index == case]
        for k in range(table.shape[1]):
            if rule.kind == LABEL_SETS:
                assert answers[case, k] == pytest.approx(event(images[:, k]), abs=1e-6)
            elif rule.kind == GRADES:
                reached = images[:, k:].sum(axis=1).clip(0, 1)
                assert answers[case, k:].sum() == pytest.approx(event(reached), abs=1e-5)
        if rule.kind == CLASSES:
            assert 1 - answers[case, 0] == pytest.approx(event(1 - images[:, 0]), abs=1e-6)
            parts = np.array([event(images[:, k]) for k in range(1, table.shape[1])])
            if parts.sum() > 0:
                expected = (1 - answers[case, 0]) * parts / parts.sum()
                assert answers[case, 1:] == pytest.approx(expected, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.sampled_from([MAX, NOISY_OR]), st.sampled_from([GRADES, LABEL_SETS]))
def test_one_more_image_never_makes_an_event_less_likely(seed: int, answer: str, kind: str) -> None:
    table, _ = drawn(seed, kind)
    rule = CaseRule("patient", answer, kind)
    table = np.concatenate([table, table[:1]])
    few, more = (answer_cases(t, np.zeros(len(t), dtype=np.int64), rule) for t in (table[:-1], table))
    if kind == GRADES:
        few, more = (t[:, ::-1].astype(float).cumsum(axis=1) for t in (few, more))
    assert (more >= few - 1e-5).all()


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_attention_is_a_mean_weighed_by_the_softmax_of_scores_and_equal_ones_change_nothing(seed: int) -> None:
    table, index = drawn(seed, CLASSES)
    rule, scores = CaseRule("patient", ATTENTION), np.random.default_rng(seed).normal(0, 2, size=len(table))
    assert answer_cases(table, index, rule, np.full(len(table), 3.0)) == pytest.approx(
        answer_cases(table, index, CaseRule("patient")), abs=1e-6
    )
    weights = np.exp(scores)
    expected = [
        np.average(table[index == case], axis=0, weights=weights[index == case]) for case in np.unique(index)
    ]
    answers = answer_cases(table, index, rule, scores)
    assert answers == pytest.approx(np.array(expected), abs=1e-6)
    assert answer_cases(table, index, rule, scores + 40 * index) == pytest.approx(answers, abs=1e-6)
    with pytest.raises(ConfigError, match="attention needs a score of each image"):
        answer_cases(table, index, rule)
    with pytest.raises(ConfigError, match="scores of attention, and cases answer by mean"):
        answer_cases(table, index, CaseRule("patient", MEAN), scores)


# -- how much each image weighed


@settings(deadline=None, max_examples=80)
@given(SEEDS, st.sampled_from(RULES))
def test_weights_of_a_case_are_parts_of_one_in_any_order(seed: int, rule: CaseRule) -> None:
    table, index = drawn(seed, rule.kind)
    outputs = Outputs(table, scored(seed, rule, len(table)))
    weights = case_weights(CaseIndex(rule, index), outputs)
    assert weights.shape == table.shape
    assert (weights >= 0).all()
    for case in range(index.max() + 1):
        assert weights[index == case].sum(axis=0) == pytest.approx(1, abs=1e-9)
    order = np.random.default_rng(seed).permutation(len(table))
    again = case_weights(CaseIndex(rule, index[order]), outputs.at(order))
    assert again == pytest.approx(weights[order], abs=1e-12)
    if rule.answer in MEANS:
        rows = [(weights[index == case] * table[index == case]).sum(axis=0) for case in range(index.max() + 1)]
        assert answer_cases(table, index, rule, outputs.scores) == pytest.approx(np.array(rows), abs=1e-5)


def test_weights_of_every_answer() -> None:
    table = np.array([[0.5, 0.5], [0.9, 0.1], [0.75, 0.25]], dtype=np.float32)
    index = np.array([0, 0, 1])

    def weights(answer: str, kind: str = CLASSES, scores: Array | None = None, rows: Array = table) -> Array:
        rule = CaseRule("patient", answer, kind, 0 if kind == CLASSES else None)
        return case_weights(CaseIndex(rule, index), Outputs(rows, scores))

    assert weights(MEAN).tolist() == [[0.5, 0.5], [0.5, 0.5], [1, 1]]
    scores = np.array([np.log(3), 0, 7], dtype=np.float32)
    assert weights(ATTENTION, scores=scores) == pytest.approx(np.array([[0.75] * 2, [0.25] * 2, [1] * 2]))
    assert weights(MAX).tolist() == [[1, 1], [0, 0], [1, 1]]
    assert weights(MAX, LABEL_SETS).tolist() == [[0, 1], [1, 0], [1, 1]]
    part = np.log(0.5) / np.log(0.5 * 0.9)
    assert weights(NOISY_OR, LABEL_SETS)[:2, 1] == pytest.approx([part, 1 - part], abs=1e-6)
    assert weights(NOISY_OR, GRADES)[:2] == pytest.approx(np.array([[part] * 2, [1 - part] * 2]), abs=1e-6)
    certain = np.array([[1, 0], [0.9, 0], [0.2, 0.4]], dtype=np.float32)
    assert weights(NOISY_OR, LABEL_SETS, rows=certain)[:2].tolist() == [[1, 0.5], [0, 0.5]]
    assert weights(MAX, LABEL_SETS, rows=certain)[:2].tolist() == [[1, 0.5], [0, 0.5]]


# -- labels


def test_labels_of_cases() -> None:
    index = np.array([0, 0, 1, 1, 2])
    grades = CaseRule("patient", kind=GRADES)
    assert label_cases(np.array([0, 3, 1, 1, 2]), index, grades).tolist() == [3, 1, 2]
    sets = np.array([[0, 1, 0], [0, -1, -1], [0, 0, 0], [0, 0, -1], [1, -1, 0]])
    assert label_cases(sets, index, CaseRule("patient", kind=LABEL_SETS)).tolist() == [
        [0, 1, -1], [0, 0, -1], [1, -1, 0],
    ]  # fmt: skip
    plain, normal = CaseRule("patient"), CaseRule("patient", normal=1)
    assert label_cases(np.array([2, 2, 1, 1, 0]), index, plain).tolist() == [2, 1, 0]
    labels = np.array([0, 1, 1, 1, 2])  # the first case is of class 0 in one image, and normal in another
    assert label_cases(labels, index, normal).tolist() == [0, 1, 2]
    assert differing_cases(labels, index, plain).tolist() == [True, False, False]
    with pytest.raises(DataError, match="1 of 3 cases"):
        label_cases(labels, index, plain)
    with pytest.raises(DataError, match="1 of 3 cases"):
        label_cases(np.array([0, 2, 1, 1, 2]), index, normal)
    assert not differing_cases(labels, index, grades).any()


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.sampled_from(RULES))
def test_labels_of_cases_of_one_image_are_the_image_s_and_no_order_matters(seed: int, rule: CaseRule) -> None:
    rng = np.random.default_rng(seed)
    _, index = drawn(seed, rule.kind)
    labels = (
        rng.integers(-1, 2, size=(len(index), 3)) if rule.kind == LABEL_SETS else rng.integers(0, 3, len(index))
    )
    assert (label_cases(labels, np.arange(len(index)), rule) == labels).all()
    order = rng.permutation(len(index))
    if not differing_cases(labels, index, rule).any():
        assert (label_cases(labels, index, rule) == label_cases(labels[order], index[order], rule)).all()
    else:
        assert (
            differing_cases(labels[order], index[order], rule).sum() == differing_cases(labels, index, rule).sum()
        )


# -- which images are of one case


def test_an_image_without_a_case_is_one_of_its_own_and_a_case_is_of_one_patient() -> None:
    lesions = np.array(["a", "", "b", "a", "", "nan"])
    assert number_cases(lesions).tolist() == [0, 1, 2, 0, 3, 4]
    patients = np.array([1, 1, 1, 2, 1, 1])
    assert number_cases(lesions, patients).tolist() == [0, 1, 2, 3, 4, 5]
    assert number_cases(patients).tolist() == [0, 0, 0, 1, 0, 0]


def test_columns_of_cases_have_a_value_where_all_images_agree() -> None:
    cases = CaseIndex(CaseRule("lesion"), np.array([7, 7, 2, 2, 9])).at(np.array([0, 1, 2, 3, 4]))
    assert len(cases) == 3  # 2, 7, 9
    columns = {
        "sex": np.array(["f", "f", "m", "m", "f"]),
        "lesion": np.arange(5),
        "age": np.array([4, 5, 6, 6, 7]),
    }
    by_case = cases.columns(columns)
    assert {name: column.tolist() for name, column in by_case.items()} == {
        "sex": ["m", "f", "f"], "age": ["6", DIFFERS, "7"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("patient", "median"), "'median'.*did you mean 'mean'"),
        (("patient", MAX), "max of classes needs .*`normal: CLASS`"),
        (("patient", NOISY_OR, "colours"), "'colours'"),
    ],
)
def test_rules_that_can_t_be_are_refused(values: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CaseRule(*values)
