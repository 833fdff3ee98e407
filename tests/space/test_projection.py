"""Settings of an earlier run as values of a space: what it draws comes back, what it can't draw is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.space.loading import load_space, parse
from medray.space.projection import project
from medray.space.shipped import shipped_spaces
from tests.space.test_search_space import BASE, Answers, Drawing

SPACES = [parse(BASE, "mine.yaml"), *map(load_space, shipped_spaces())]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SPACES), st.data())
def test_what_a_space_draws_is_projected_on_itself(space: Any, data: st.DataObject) -> None:
    chooser = Drawing(data)
    drawn = space.draw(chooser)
    by_label = project(drawn, space)
    assert isinstance(by_label, dict)
    assert list(by_label) == chooser.asked
    assert space.draw(Answers(by_label)) == drawn
    # A setting that the space does not search changes nothing.
    assert project({**drawn, "seed": 7, "gradient_clip": 3.0}, space) == by_label


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SPACES), st.data())
def test_whatever_is_projected_can_be_drawn(space: Any, data: st.DataObject) -> None:
    value = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 600),
        st.floats(-1, 2),
        st.sampled_from(["adam", "sgd", "none", "x"]),
    )
    names = list(dict.fromkeys(parameter.name for parameter in space.parameters))
    drawn = space.draw(Drawing(data))
    changed = data.draw(st.dictionaries(st.sampled_from(names), value, max_size=2))
    by_label = project({**drawn, **changed}, space)
    if isinstance(by_label, str):
        assert changed
    else:
        assert space.draw(Answers(by_label)) == {
            name: {**drawn, **changed}[name] for name in space.draw(Answers(by_label))
        }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backbone": "vgg16"}, "backbone vgg16 is not one of lenet5, resnet18"),
        ({"learning_rate": 0.5}, "learning_rate 0.5 is not from 0.0001 to 0.01"),
        ({"batch_size": 16.5}, "batch_size 16.5 is not from 16 to 64"),
        ({"batch_size": True}, "batch_size True is not from 16 to 64"),
        ({"optimizer": "sgd", "momentum": None}, "momentum null is not from 0.5 to 0.9"),
        ({"optimizer": "sgd"}, "momentum is not set"),
    ],
)
def test_why_settings_lie_outside(changes: dict[str, Any], reason: str) -> None:
    inside = {
        "backbone": "lenet5", "optimizer": "adam", "learning_rate": 0.001, "batch_size": 32, "transforms": "none",
    }  # fmt: skip
    assert project(inside, SPACES[0]) == inside
    assert project({**inside, **changes}, SPACES[0]) == reason
