"""The store of readings: what counts, in which order, and what is no reading."""

from pathlib import Path

import numpy as np
import pytest

from medray.errors import RunError
from medray.evaluate.test_reads import FACTS, FIGURES, Reading, next_reading, readings, undamaged
from medray.runs.rundir import RunDir

SCORES = dict.fromkeys(FACTS + FIGURES, 0)


@pytest.fixture
def empty(tmp_path: Path) -> RunDir:
    return RunDir(str(tmp_path / "run"))


def begun(run: RunDir) -> Reading:
    reading = next_reading(run)
    reading.begin("ensemble's", "data's")
    return reading


def test_a_reading_counts_from_its_beginning(empty: RunDir) -> None:
    assert readings(empty) == []
    first = begun(empty)
    assert (first.number, first.scores()) == (1, None)
    assert [own.number for own in readings(empty)] == [1]
    second = begun(empty)
    predictions = {"one model": np.full((2, 2), 0.5, np.float32), "another": np.eye(2, dtype=np.float32)}
    second.write(SCORES, np.array([0, 1]), predictions)
    assert [(own.number, own.scores()) for own in readings(empty)] == [(1, None), (2, SCORES)]
    assert second.begun()["ensemble"] == "ensemble's"
    assert second.begun()["data"] == "data's"


def test_predictions_come_back_without_pickle(empty: RunDir) -> None:
    predictions = {"one, model": np.full((2, 2), 0.5, np.float32), "é": np.eye(2, dtype=np.float32)}
    begun(empty).write(SCORES, np.array([0, 1]), predictions)
    with np.load(
        Path(empty.location) / "evaluation/reading_0001/test_predictions.npz", allow_pickle=False
    ) as file:
        assert file["models"].tolist() == list(predictions)
        for number, probabilities in enumerate(predictions.values()):
            assert (file[f"model_{number}"] == probabilities).all()
        assert file["labels"].tolist() == [0, 1]


def test_readings_come_in_the_order_of_their_numbers(empty: RunDir) -> None:
    for number in (10000, 9, 9999):
        Reading(number, empty.evaluation.child(f"reading_{number:04d}")).begin("", "")
    assert [own.number for own in readings(empty)] == [9, 9999, 10000]
    assert next_reading(empty).number == 10001


def test_what_a_person_leaves_there_is_no_reading(empty: RunDir) -> None:
    begun(empty)
    for name in ("reading_old", "reading_0001 (copy)", "notes", "reading_", "reading_0007"):
        (Path(empty.location) / "evaluation" / name).mkdir()
    assert [own.number for own in readings(empty)] == [1]
    assert next_reading(empty).number == 2


@pytest.mark.parametrize("key", [*FACTS, *FIGURES])
def test_figures_that_lack_something_are_damaged(empty: RunDir, key: str) -> None:
    reading = begun(empty)
    content = {name: value for name, value in SCORES.items() if name != key}
    reading.write(content, np.array([0]), {})
    with pytest.raises(RunError, match=rf"scores\.json is damaged: it lacks {key}$"):
        reading.scores()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"reading": 1}'])
def test_a_damaged_beginning_still_counts(empty: RunDir, text: str) -> None:
    """What was read is not unread by a damaged file."""
    reading = begun(empty)
    (Path(empty.location) / "evaluation/reading_0001/begun.json").write_text(text)
    assert len(readings(empty)) == 1
    assert next_reading(empty).number == 2
    with pytest.raises(RunError, match=r"begun\.json is damaged"):
        reading.begun()


def test_nan_is_never_written(empty: RunDir) -> None:
    reading = begun(empty)
    with pytest.raises(ValueError, match="not JSON compliant"):
        reading.write({**SCORES, "metric": float("nan")}, np.array([0]), {})
    assert reading.scores() is None


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), IndexError("x"), ValueError("x")])
def test_undamaged_names_the_file(error: Exception) -> None:
    with pytest.raises(RunError, match=r"^the file is damaged: "), undamaged("the file"):
        raise error


def test_undamaged_leaves_what_is_said_already() -> None:
    with pytest.raises(RunError, match=r"^of another run$"), undamaged("the file"):
        raise RunError("of another run")
