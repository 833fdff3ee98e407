"""Events: a class, or a grade and all above it, and what is none."""

import numpy as np
import pytest

from medray.errors import ConfigError, DataError
from medray.stats.events import Event
from medray.tasks import ORDERED, SINGLE

GRADES = ("none", "mild", "moderate", "severe")


def test_events_of_each_task() -> None:
    assert [event.name for event in SINGLE.events(GRADES)] == list(GRADES)
    assert [event.name for event in ORDERED.events(GRADES)] == ["mild or more", "moderate or more", "severe"]
    assert Event.named("severe", GRADES, cut=True) == Event("severe", 3, and_above=True)
    assert Event.named("none", GRADES) == Event("none", 0)


def test_what_can_be_no_event() -> None:
    with pytest.raises(
        ConfigError, match="'none' is the lowest grade, and every image is of it or more; valid: mild"
    ):
        Event.named("none", GRADES, cut=True)
    with pytest.raises(ConfigError, match="'milde'"):
        Event.named("milde", GRADES, cut=True)
    with pytest.raises(DataError, match="probabilities are of 3 classes; 'severe' is at 3"):
        Event.named("severe", GRADES, cut=True).scores(np.full((2, 3), 1 / 3))
