"""The stored reads of the test split: what counts, in which order, and what is damaged."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from medray.errors import RunError
from medray.evaluate.reviewed_scores import review
from medray.evaluate.scores_document import ModelScores, ReadScores
from medray.evaluate.test_reads import TestRead as Read
from medray.evaluate.test_reads import new_read, stored_reads
from medray.runs.rundir import RunDir
from medray.stats.bootstrap import Estimate
from medray.stats.class_scores import ClassScores
from medray.stats.rates import Proportion
from medray.stats.scores import Predictions
from medray.tasks import SINGLE

ESTIMATES = dict.fromkeys(SINGLE.scores, Estimate(0.5, 0.25, 0.75))
ALL = Proportion.of(1, 1)
SCORES = ReadScores(
    read=2, time="2026-01-02T03:04:05+00:00", ensemble="ensemble's", data="data's", test="split's",
    medray="0.1.0", uuid="ab12", seed=0,
    task="single", metric="auc", images=2, cases=None, patients=None, class_names=("a", "b"), resamples=40,
    models=(ModelScores("ensemble", 3, ESTIMATES),), comparisons=(), confusion_matrix=((1, 0), (0, 1)),
    cuts=(), per_class=tuple(ClassScores(name, 1, ALL, ALL, ALL, 1.0, ESTIMATES["auc"]) for name in "ab"), operating_points=(),
    conformal_sets=(), subgroups={}, subgroup_rates=(), leaks=(),
    reviewed=review(
        Predictions(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]), 2), ("a", "b"), [], None, 0
    ),
    without_copies=None,
)  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path) -> RunDir:
    return RunDir(str(tmp_path / "run"))


def begun(run: RunDir) -> Read:
    read = new_read(run)
    read.begin("ensemble's", "data's", "split's")
    return read


def test_a_read_counts_once_it_has_begun(empty: RunDir) -> None:
    assert stored_reads(empty) == []
    first = begun(empty)
    assert (first.number, first.scores()) == (1, None)
    assert [read.number for read in stored_reads(empty)] == [1]
    second = begun(empty)
    predictions = {"one model": np.full((2, 2), 0.5, np.float32), "another": np.eye(2, dtype=np.float32)}
    second.write(SCORES, np.array([0, 1]), predictions)
    assert [(read.number, read.scores()) for read in stored_reads(empty)] == [(1, None), (2, SCORES)]
    facts = second.facts()
    assert (facts.read, facts.ensemble, facts.data, facts.test) == (2, "ensemble's", "data's", "split's")
    assert facts.uuid != first.facts().uuid


def test_predictions_come_back_without_pickle(empty: RunDir) -> None:
    predictions = {"one, model": np.full((2, 2), 0.5, np.float32), "é": np.eye(2, dtype=np.float32)}
    begun(empty).write(SCORES, np.array([0, 1]), predictions)
    with np.load(Path(empty.location) / "evaluation/read_0001/test_predictions.npz", allow_pickle=False) as file:
        assert file["models"].tolist() == list(predictions)
        for number, probabilities in enumerate(predictions.values()):
            assert (file[f"model_{number}"] == probabilities).all()
        assert file["labels"].tolist() == [0, 1]


def test_reads_come_in_the_order_of_their_numbers(empty: RunDir) -> None:
    for number in (10000, 9, 9999):
        Read(number, empty.evaluation.child(f"read_{number:04d}")).begin("", "", "")
    assert [read.number for read in stored_reads(empty)] == [9, 9999, 10000]
    assert new_read(empty).number == 10001


def test_other_folders_and_empty_ones_are_no_reads(empty: RunDir) -> None:
    begun(empty)
    for name in ("read_old", "read_0001 (copy)", "notes", "read_", "read_0007"):
        (Path(empty.location) / "evaluation" / name).mkdir()
    assert [read.number for read in stored_reads(empty)] == [1]
    assert new_read(empty).number == 2


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ReadScores)])
def test_scores_that_lack_a_field_are_damaged(empty: RunDir, field: str) -> None:
    read = begun(empty)
    content = {name: value for name, value in SCORES.to_dict().items() if name != field}
    read.folder.write_json("scores.json", content)
    with pytest.raises(RunError, match=rf"scores\.json: damaged: it has no '{field}'$"):
        read.scores()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"metric": "speed"}, "unknown metric 'speed'"),
        ({"models": []}, "it has no models"),
        ({"confusion_matrix": [[1, 0]]}, "is not of 2 classes"),
        ({"per_class": []}, "is not of 2 classes"),
        ({"seed": "0"}, "seed: damaged: '0' is not a whole number"),
    ],
)
def test_scores_that_contradict_themselves_are_damaged(
    empty: RunDir, changes: dict[str, object], problem: str
) -> None:
    read = begun(empty)
    read.folder.write_json("scores.json", SCORES.to_dict() | changes)
    with pytest.raises(RunError, match=problem):
        read.scores()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"read": 1}'])
def test_a_damaged_beginning_still_counts(empty: RunDir, text: str) -> None:
    """What was read is not unread by a damaged file."""
    read = begun(empty)
    (Path(empty.location) / "evaluation/read_0001/begun.json").write_text(text)
    assert len(stored_reads(empty)) == 1
    assert new_read(empty).number == 2
    with pytest.raises(RunError, match=r"begun\.json.* damaged"):
        read.facts()


def test_nan_is_never_written(empty: RunDir) -> None:
    read = begun(empty)
    model = ModelScores("ensemble", 1, {**ESTIMATES, "auc": Estimate(float("nan"), None, None)})
    with pytest.raises(ValueError, match="not JSON compliant"):
        read.write(dataclasses.replace(SCORES, models=(model,)), np.array([0]), {})
    assert read.scores() is None
