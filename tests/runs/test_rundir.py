"""The run's folder: paths, atomic writes, and what marks a trial's end."""

import dataclasses
import pickle
from pathlib import Path

import pytest

from medray.errors import RunError
from medray.runs.folder import Folder
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import FAILED, FINISHED, EpochRecord, TrialRecord

URI = "s3://bucket/runs/organs?region=eu-west-1&endpoint_override=localhost:9000"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "run"))


# -- files


def test_half_a_write_is_not_seen_and_the_next_one_goes_over_it(folder: Folder, tmp_path: Path) -> None:
    folder.write_json("x.json", {"whole": 1})
    (tmp_path / "run" / "x.json.partial-1").write_bytes(b'{"whole": 2, "ha')  # as a kill leaves it
    assert folder.read_json("x.json") == {"whole": 1}
    folder.write_json("x.json", {"whole": 3})
    assert folder.read_json("x.json") == {"whole": 3}


def test_the_end_of_a_trial_clears_what_a_killed_worker_left(tmp_path: Path) -> None:
    trial = TrialDir(str(tmp_path))
    trial.write("checkpoint.safetensors", b"1")
    (tmp_path / "weights.safetensors.partial-17").write_bytes(b"half")
    trial.write_record(TrialRecord(number=0, state=FINISHED))
    assert trial.names() == ["trial.json"]


def test_a_first_write_that_was_cut_leaves_no_file(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "trial.json.partial-1").write_bytes(b'{"number"')
    assert not folder.exists("trial.json")
    assert TrialDir(folder.location).record() is None


# -- paths


def test_a_uris_options_stay_at_its_end() -> None:
    run = RunDir(URI)
    options = URI.partition("?")[2]
    assert run.local is None
    assert run.child("a", "b").location == f"s3://bucket/runs/organs/a/b?{options}"
    assert run.trial(7).location == f"s3://bucket/runs/organs/trials/0007?{options}"
    assert run.trial(7).path("trial.json") == "s3://bucket/runs/organs/trials/0007/trial.json"
    assert run.ensemble.path("manifest.json") == "s3://bucket/runs/organs/ensemble/manifest.json"


@pytest.mark.parametrize("location", ["runs/organs", "runs/organs/", "/tmp/x y/é"])
def test_paths_of_a_local_folder(location: str) -> None:
    folder = Folder(location)
    assert folder.child("a", "b").local == Path(location) / "a" / "b"
    assert Path(folder.path("x")) == Path(location) / "x"


def test_a_local_folders_name_may_hold_a_question_mark(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path / "better?"))
    run.trial(0).write("x", b"1")
    assert (tmp_path / "better?" / "trials" / "0000" / "x").read_bytes() == b"1"


def test_a_file_uri_is_a_folder_too(tmp_path: Path) -> None:
    run = RunDir(f"{tmp_path.as_uri()}/run")
    run.trial(3).write_json("config.json", {"a": 1})
    assert run.trial(3).read_json("config.json") == {"a": 1}
    assert run.trial_numbers() == [3]
    assert (tmp_path / "run" / "trials" / "0003" / "config.json").is_file()


@pytest.mark.parametrize("kind", [Folder, TrialDir, RunDir])
def test_a_folder_pickles_as_its_location(kind: type[Folder], tmp_path: Path) -> None:
    used = kind(str(tmp_path))
    used.write("x", b"1")
    again = pickle.loads(pickle.dumps(used))
    assert type(again) is kind
    assert again == used
    assert again.read("x") == b"1"
    assert pickle.loads(pickle.dumps(kind(URI))).location == URI


# -- trials

RECORD = TrialRecord(
    number=7, state=FINISHED, objective=0.9, best_epoch=2, epochs=3, seconds=1.5, ended_by="patience",
    metrics={"auc": 0.9}, parameters=10, settings={"backbone": "lenet5", "patience": None},
)  # fmt: skip


EPOCH = EpochRecord(
    epoch=1, objective=0.8, train_loss=0.5, learning_rate=0.01, seconds=1.5, metrics={"auc": 0.8}, best_epoch=1,
    best={"auc": 0.8}, parameters=3, ended_by=None,
)  # fmt: skip


def test_the_record_ends_a_trial(tmp_path: Path) -> None:
    trial = RunDir(str(tmp_path)).trial(7)
    trial.write(trial.CHECKPOINT, b"state")
    trial.write(trial.WEIGHTS, b"weights")
    trial.write_epochs([EPOCH])
    assert trial.record() is None
    trial.write_record(RECORD)
    assert trial.record() == RECORD
    assert not trial.exists(trial.CHECKPOINT)
    assert trial.names() == sorted([trial.WEIGHTS, trial.EPOCHS, trial.RECORD])


def test_a_trial_without_a_checkpoint_can_be_ended_too(tmp_path: Path) -> None:
    trial = RunDir(str(tmp_path)).trial(1)
    failed = TrialRecord(1, FAILED, reason="the loss became NaN", traceback="a\nb")
    trial.write_record(failed)
    assert trial.record() == failed


def test_epochs_come_back(tmp_path: Path) -> None:
    trial = TrialDir(str(tmp_path / "t"))
    assert trial.epochs() == []
    epochs = [EPOCH, dataclasses.replace(EPOCH, epoch=2, best_epoch=2, ended_by="epochs")]
    trial.write_epochs(epochs)
    assert trial.epochs() == epochs
    trial.write_epochs([])
    assert trial.epochs() == []


@pytest.mark.parametrize("content", [b'{"epoch": 1}\n{"epo', b'{"epoch": 1}\n', b"\xff\n"])
def test_damaged_epochs_are_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    trial = TrialDir(str(tmp_path))
    trial.write(trial.EPOCHS, content)
    with pytest.raises(RunError) as caught:
        trial.epochs()
    assert trial.path(trial.EPOCHS) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b'{"number', b"[1]", b'{"number": 1}', b'{"number": 1, "state": "x", "new": 1}']
)
def test_a_damaged_record_is_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    trial = TrialDir(str(tmp_path))
    trial.write(trial.RECORD, content)
    with pytest.raises(RunError) as caught:
        trial.record()
    assert trial.path(trial.RECORD) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_are_those_of_ended_trials_by_number(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    for number in (12, 3, 10_000, 9_999):
        run.trial(number).write_record(dataclasses.replace(RECORD, number=number))
    run.trial(5).write("config.json", b"{}")
    run.write("trials/notes.txt", b"")
    assert run.trial_numbers() == [3, 5, 12, 9_999, 10_000]
    assert [record.number for record in run.records()] == [3, 12, 9_999, 10_000]
