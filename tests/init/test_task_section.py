"""Where init proposes the task of grades, and that the way back which its comment names leads to a valid space."""

import re
from collections.abc import Sequence

import pytest

from medray.init.proposal import StudyProposal, propose_study
from medray.init.writer import write
from medray.space.loading import parse
from tests.init.surveys import survey


def proposed(names: Sequence[str], source: str = "folder:/x", *, files: bool = True) -> StudyProposal:
    splits = (None,) if files else ("train", "train", "val", "test")
    return propose_study("x", source, survey(dict.fromkeys(names, 24), files=files, splits=splits))


GRADED = [
    ("0", "1", "2", "3", "4"),
    ("KL0", "KL1", "KL2", "KL3", "KL4"),
    ("BI-RADS 2", "BI-RADS 3", "BI-RADS 4a", "BI-RADS 4b", "BI-RADS 5"),
    ("normal", "mild", "moderate", "severe"),
]


@pytest.mark.parametrize("names", GRADED, ids=" ".join)
def test_grades_are_proposed_with_their_metric_losses_and_order(names: tuple[str, ...]) -> None:
    text = write(proposed(names))
    space = parse(text, "x.yaml")
    assert (space.task, space.metric) == ("ordered", "quadratic_kappa")
    assert {loss for _, loss in space.values_of("loss")} == {"cross_entropy", "cumulative", "corn"}
    words = names[0] == "normal"
    assert space.preparation.labels.order == (names if words else ())
    comment = " ".join(line.strip("# ") for line in text.splitlines())
    assert " < ".join(names) in comment
    assert "`task: single`" in comment
    for baseline in space.baselines:
        assert space.config({}, seed=0, max_epochs=2, baseline=baseline).task == "ordered"


@pytest.mark.parametrize("names", [GRADED[0], GRADED[-1]], ids=" ".join)
def test_the_way_back_is_as_the_comment_says(names: tuple[str, ...]) -> None:
    text = write(proposed(names)).replace("task: ordered", "task: single").replace("quadratic_kappa", "accuracy")
    lines = [line for line in text.splitlines() if not re.match(r"(  (loss|order):|labels:)", line)]
    space = parse(
        "\n".join(re.sub(r", loss: \w+", "", line) for line in lines if "    loss:" not in line), "x.yaml"
    )
    assert space.task == "single"
    assert not list(space.values_of("loss"))


@pytest.mark.parametrize(
    ("names", "source", "files"),
    [
        (("liver", "spleen", "heart"), "folder:/x", True),
        (("0", "1"), "folder:/x", True),  # two classes
        (("0", "1", "3"), "folder:/x", True),  # a hole: what the numbers count is not all here
        (tuple("0123456"), "folder:/x", True),  # more than grades have
        (tuple("01234"), "cells.npz", False),  # arrays without names
        (("mild", "covid", "severe"), "folder:/x", True),
    ],
)
def test_other_classes_are_no_grades(names: tuple[str, ...], source: str, files: bool) -> None:
    text = write(proposed(names, source, files=files))
    assert parse(text, "x.yaml").task == "single"
    assert "task:" not in text
    assert "loss:" not in text


def test_arrays_with_names_and_retinamnist_are_graded() -> None:
    for names, source in (
        (tuple("01234"), "/data/retinamnist.npz"),
        (tuple("01234"), "medmnist:retinamnist"),
        (("KL0", "KL1", "KL2"), "/data/knees.npz"),
    ):
        assert parse(write(proposed(names, source, files=False)), "x.yaml").task == "ordered"
