"""What can be a member: trials by what they said of the validation images, and what is refused."""

import dataclasses
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medray.data.dataset import ImageDataset
from medray.ensemble.candidates import trial_pool
from medray.errors import RunError
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED, STOPPED, TrialRecord


@pytest.fixture
def run(finished_run: Path) -> RunDir:
    return RunDir(str(finished_run))


def records(run: RunDir) -> list[TrialRecord]:
    return list(run.records())


def rewrite(run: RunDir, trial: int, **changes: Any) -> None:
    """Change arrays of a trial's predictions; a change to None takes one away."""
    folder = run.trial(trial)
    with np.load(io.BytesIO(folder.read(folder.PREDICTIONS))) as file:
        arrays = dict(file) | changes
    stream = io.BytesIO()
    np.savez(stream, **{name: array for name, array in arrays.items() if array is not None})
    folder.write(folder.PREDICTIONS, stream.getvalue())


def stored(run: RunDir, trial: int) -> dict[str, Any]:
    with np.load(io.BytesIO(run.trial(trial).read("val_predictions.npz"))) as file:
        return dict(file)


def test_trials_come_best_first_with_their_predictions_and_labels(run: RunDir, dataset: ImageDataset) -> None:
    pool = trial_pool(run, records(run), "max")
    assert (pool.source, pool.selected_on) == ("trials", "val")
    assert np.array_equal(pool.labels, dataset.split("val").own_labels)
    objectives = [candidate.objective for candidate in pool.candidates]
    assert objectives == sorted(objectives, reverse=True)
    assert sorted(candidate.number for candidate in pool.candidates) == [0, 1, 2, 3]
    for candidate in pool.candidates:
        assert np.array_equal(candidate.probabilities, stored(run, candidate.number)["probabilities"])
        assert [(m.record.number, m.fold) for m in candidate.members] == [(candidate.number, None)]
        assert candidate.members[0].name == f"{candidate.number:04d}"
    turned = trial_pool(run, records(run), "min").candidates
    assert [candidate.objective for candidate in turned] == sorted(objectives)


def test_only_so_many_are_read_as_are_wanted(run: RunDir) -> None:
    numbers = [candidate.number for candidate in trial_pool(run, records(run), "max").candidates]
    run.trial(numbers[-1]).delete("val_predictions.npz")
    assert [c.number for c in trial_pool(run, records(run), "max", limit=3).candidates] == numbers[:3]


def test_a_trial_that_repeats_another_is_not_counted_twice(run: RunDir) -> None:
    """The better one stays; and a limit counts those that are not the same."""
    first, second, third, last = (c.number for c in trial_pool(run, records(run), "max").candidates)
    best_epoch = {record.number: record.best_epoch for record in records(run)}
    for copy in (second, last):
        repeated = stored(run, first) | {"epoch": best_epoch[copy]}
        rewrite(run, copy, **repeated)
    assert [c.number for c in trial_pool(run, records(run), "max").candidates] == [first, third]
    assert [c.number for c in trial_pool(run, records(run), "max", limit=2).candidates] == [first, third]


def test_of_linear_heads_on_the_same_features_only_the_best_is_a_candidate(run: RunDir) -> None:
    first, second, third, last = (c.number for c in trial_pool(run, records(run), "max").candidates)
    head = {"optimizer": "lbfgs", "backbone": "resnet18", "image_size": 64}
    settings = {first: {**head, "weight_decay": 0.1}, third: {**head, "weight_decay": 0.2}}
    settings[last] = {**head, "image_size": 128}
    changed = [dataclasses.replace(r, settings=settings.get(r.number, r.settings)) for r in records(run)]
    assert [c.number for c in trial_pool(run, changed, "max").candidates] == [first, second, last]
    assert [c.number for c in trial_pool(run, changed, "max", limit=2).candidates] == [first, second]


def test_a_stopped_trial_may_be_a_member_and_a_failed_one_never(run: RunDir) -> None:
    others = records(run)
    stopped = dataclasses.replace(others[0], state=STOPPED)
    failed = dataclasses.replace(others[1], state=FAILED, objective=2.0)
    without = dataclasses.replace(others[2], objective=None)
    pool = trial_pool(run, [stopped, failed, without, others[3]], "max")
    assert sorted(candidate.number for candidate in pool.candidates) == [0, 3]
    assert trial_pool(run, [failed], "max").candidates == []


# -- refusals


def refusal(run: RunDir, trial: int = 1) -> str:
    with pytest.raises(RunError) as caught:
        trial_pool(run, records(run), "max")
    message = str(caught.value)
    assert message.startswith(run.trial(trial).path("val_predictions.npz")), message
    assert "\n" not in message
    return message


def test_predictions_of_another_epoch_are_not_taken(run: RunDir) -> None:
    epoch = stored(run, 1)["epoch"]
    rewrite(run, 1, epoch=epoch + 1)
    assert f"is damaged: it is of epoch {epoch + 1}, the trial's best is {epoch}" in refusal(run)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5])
def test_predictions_that_are_no_probabilities_are_named(run: RunDir, value: float) -> None:
    probabilities = stored(run, 1)["probabilities"]
    probabilities[5, 1] = value
    rewrite(run, 1, probabilities=probabilities)
    message = refusal(run)
    assert "is damaged: probabilities of image 5 must lie between 0 and 1 and sum to 1" in message
    assert "epoch" not in message


Damage = Callable[[dict[str, Any]], dict[str, Any]]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "no probabilities": (lambda a: {"probabilities": None}, "can't be read: "),
    "no labels": (lambda a: {"labels": None}, "can't be read: "),
    "no epoch": (lambda a: {"epoch": None}, "can't be read: "),
    "several epochs": (lambda a: {"epoch": np.array([1, 2])}, "is damaged: it is of epoch [1 2]"),
    "a row too few": (lambda a: {"probabilities": a["probabilities"][1:]}, "is damaged: labels are int64 (24,)"),
    "flat": (lambda a: {"probabilities": a["probabilities"][:, 0]}, "is damaged: probabilities are float32 (24,)"),
    "a label of no class": (lambda a: {"labels": a["labels"] + 1}, "is of no class"),
    "fewer images": (
        lambda a: {"probabilities": a["probabilities"][1:], "labels": a["labels"][1:]},
        "is of other images than the other trials'",
    ),
    "other images": (lambda a: {"labels": a["labels"][::-1]}, "is of other images than the other trials'"),
    "more classes": (
        lambda a: {"probabilities": np.pad(a["probabilities"], ((0, 0), (0, 1)))},
        "is of other images than the other trials'",
    ),
    "an object": (lambda a: {"labels": a["labels"].astype(object)}, "can't be read: "),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_predictions_that_do_not_fit_are_refused(run: RunDir, name: str) -> None:
    damage, message = DAMAGES[name]
    best = trial_pool(run, records(run), "max", limit=1).candidates[0].number
    trial = next(number for number in range(4) if number != best)
    rewrite(run, trial, **damage(stored(run, trial)))
    assert message in refusal(run, trial)


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 torn", "half"])
def test_a_file_that_is_none_is_refused(run: RunDir, content: bytes | str | None) -> None:
    folder = run.trial(1)
    predictions = folder.read(folder.PREDICTIONS)
    if content is None:
        folder.delete(folder.PREDICTIONS)
    else:
        folder.write(
            folder.PREDICTIONS, predictions[: len(predictions) // 2] if isinstance(content, str) else content
        )
    assert "can't be read: " in refusal(run)


def test_a_folder_that_is_gone_is_no_trial(run: RunDir) -> None:
    known = records(run)
    assert run.local is not None
    shutil.rmtree(run.local / "trials/0001")
    with pytest.raises(RunError, match=r"0001/val_predictions\.npz can't be read"):
        trial_pool(run, known, "max")
