"""What an ensemble says of images that may have several labels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medray.decisions.conformal import ConformalSets, WithoutLabel
from medray.decisions.thresholds import OperatingPoint, Rule
from medray.ensemble import LabelSetPrediction
from medray.errors import ConfigError, DataError
from medray.stats.events import Event
from medray.stats.rates import measure_rates

NAMES = ("edema", "effusion", "mass")
TABLE = np.array([[0.2, 0.9, 0.5], [0.1, 0.2, 0.49], [0.8, 0.45, 0.95]], dtype=np.float32)


def point(label: str, threshold: float, rule: Rule) -> OperatingPoint:
    rates = measure_rates(np.array([0.1, 0.9]), np.array([False, True]), 0.5)
    return OperatingPoint(rule, Event.at(NAMES.index(label), NAMES), threshold, rates, 2, "val", 1.0)


def sets(label: str, coverage: float, quantile: float) -> ConformalSets:
    without = WithoutLabel(quantile, 100, 100.0)
    return ConformalSets(
        "lac", coverage, quantile, 100, 100.0, "val", Event.at(NAMES.index(label), NAMES), without
    )


SENSITIVE, YOUDEN = Rule("sensitivity", 0.9), Rule("youden")
POINTS = (
    point("edema", 0.15, SENSITIVE), point("edema", 0.7, YOUDEN), point("effusion", 0.95, SENSITIVE),
    point("effusion", 0.4, YOUDEN),
)  # fmt: skip


def test_a_label_is_called_at_its_first_point_and_without_one_from_one_half() -> None:
    answer = LabelSetPrediction(TABLE, NAMES, POINTS)
    assert answer.called.tolist() == [[True, False, True], [False, False, False], [True, False, True]]
    assert answer.names == ["edema, mass", "none", "edema, mass"]
    assert answer.called_names == [["edema", "mass"], [], ["edema", "mass"]]
    plain = LabelSetPrediction(TABLE, NAMES)
    assert plain.called.tolist() == (TABLE >= 0.5).tolist()
    swapped = LabelSetPrediction(TABLE, NAMES, (POINTS[1], POINTS[0], *POINTS[2:]))
    assert swapped.called[:, 0].tolist() == [False, False, True]


def test_every_rule_can_be_asked_by_its_name() -> None:
    answer = LabelSetPrediction(TABLE, NAMES, POINTS)
    assert answer.decide("youden").tolist() == [[False, True, True], [False, False, False], [True, True, True]]
    with pytest.raises(ConfigError, match=r"unknown operating point 'yuoden'.*; valid: sensitivity 0\.9, youden$"):
        answer.decide("yuoden")
    with pytest.raises(ConfigError, match="has no operating point"):
        LabelSetPrediction(TABLE, NAMES).decide("youden")


def test_there_is_no_one_class() -> None:
    with pytest.raises(
        DataError, match="an image may have several labels here, so none is its class: ask `called`"
    ):
        _ = LabelSetPrediction(TABLE, NAMES).labels


def test_sets_say_which_labels_are_sure_and_which_are_not() -> None:
    conformal = (
        sets("edema", 0.9, 0.15),
        sets("effusion", 0.9, 0.55),
        sets("mass", 0.9, 0.3),
        sets("edema", 0.95, 0.85),
    )
    answer = LabelSetPrediction(TABLE, NAMES, (), conformal)
    # Edema at 0.2 and mass at 0.5 fit neither answer, so neither is sure.
    assert answer.answers(0.9) == [
        "effusion; not sure: edema, mass", "not sure: mass", "mass; not sure: edema, effusion",
    ]  # fmt: skip
    assert answer.sets().shape == (3, 3, 2)
    assert answer.sets(0.9)[0].tolist() == [[True, True], [False, True], [True, True]]
    # Nothing is known of the other two at 0.95, so both answers are possible.
    assert answer.sets(0.95)[:, 1:].all()
    assert answer.answers(0.95) == ["not sure", "not sure: effusion, mass", "not sure"]
    with pytest.raises(ConfigError, match=r"no conformal sets for 0\.5; this ensemble has: 0\.9, 0\.95$"):
        answer.sets(0.5)


@given(
    arrays(np.float32, (6, 3), elements=st.floats(0, 1, width=32)),
    st.permutations(range(3)),
    st.lists(st.tuples(st.sampled_from(NAMES), st.floats(0, 1)), max_size=4),
)
def test_the_order_of_the_labels_means_nothing(
    table: np.ndarray, order: list[int], thresholds: list[tuple[str, float]]
) -> None:
    points = tuple(point(label, threshold, YOUDEN) for label, threshold in thresholds)
    answer = LabelSetPrediction(table, NAMES, points)
    names = tuple(NAMES[i] for i in order)
    moved = tuple(replace(p, event=Event.at(names.index(p.positive), names)) for p in points)
    again = LabelSetPrediction(table[:, order], names, moved)
    assert again.called.tolist() == answer.called[:, order].tolist()
    assert [set(row) for row in again.called_names] == [set(row) for row in answer.called_names]
