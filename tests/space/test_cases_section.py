"""The section `cases` of a search space: what it may hold, and what is refused with the way out."""

from typing import Any

import pytest

from medray.errors import ConfigError
from medray.space.cases_section import Cases
from medray.space.preparation import Preparation


def read(section: Any, task: str = "single") -> Cases | None:
    return Preparation.from_dict({"cases": section}, task).cases


def test_what_may_be_said() -> None:
    assert Preparation.from_dict({}).cases is None
    assert read({"by": "patient"}) == Cases("patient", "mean", None, "fail")
    section = {"by": "exam", "answer": "noisy_or", "normal": "No Finding", "differing": "drop"}
    assert read(section) == Cases("exam", "noisy_or", "No Finding", "drop")
    assert read({"by": "exam", "answer": "max", "normal": 0}) == Cases("exam", "max", "0")
    for task in ("single", "ordered", "several"):  # attention is a mean, and needs no normal class
        assert read({"by": "patient", "answer": "attention"}, task) == Cases("patient", "attention")
    for task in ("ordered", "several"):
        assert read({"by": "patient", "answer": "max"}, task) == Cases("patient", "max")


@pytest.mark.parametrize(
    ("section", "task", "line"),
    [
        ([], "single", r"cases: \[\] is not a section"),
        ({"answer": "mean"}, "single", "cases.by: is missing: `patient`, or the name of a column"),
        ({"by": 3}, "single", "cases.by: 3 is no name"),
        ({"by": "patient", "anwser": "max"}, "single", "cases.anwser: .*did you mean 'answer'"),
        ({"by": "patient", "answer": "median"}, "single", "cases.answer: .*did you mean 'mean'"),
        ({"by": "patient", "answer": "max"}, "single", "cases.answer: max of classes needs .*`normal: CLASS`"),
        ({"by": "patient", "answer": "max", "normal": True}, "single", "cases.normal: True is no name"),
        ({"by": "patient", "normal": "0"}, "ordered", "cases.normal: is of `task: single`"),
        ({"by": "patient", "differing": "drop"}, "several", "cases.differing: is of `task: single`"),
        ({"by": "patient", "differing": "keep"}, "single", "cases.differing: .*drop, fail"),
    ],
)
def test_slips_are_named_with_their_key(section: Any, task: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        read(section, task)
