"""What a run's folder promises, wherever it lies: on a disk, at file://, in an object store."""

import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from medray.errors import RunError
from medray.runs import lock
from medray.runs.folder import Folder
from medray.runs.lock import held
from medray.runs.rundir import RunDir
from medray.runs.trunks import read_trunk, write_trunk
from tests.cluster.object_store import ObjectStore, object_store


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture(params=["folder", "file", pytest.param("s3", marks=pytest.mark.component)])  # a server
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A folder that holds nothing yet."""
    if request.param == "folder":
        return Folder(str(tmp_path / "run"))
    if request.param == "file":
        return Folder(f"{tmp_path.as_uri()}/run")
    return Folder(f"{request.getfixturevalue('store').uri}/{tmp_path.name}/run")


def writes(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def test_what_is_written_is_read(folder: Folder) -> None:
    folder.write("a/b/c.bin", b"\x00\xff")
    assert folder.read("a/b/c.bin") == b"\x00\xff"
    folder.write_json("facts.json", {"x": [1, 0.1, None, "é"]})
    assert folder.read_json("facts.json") == {"x": [1, 0.1, None, "é"]}
    assert folder.read("facts.json").endswith(b"}\n")
    folder.write_by("weights.bin", writes(b"w" * 100))
    assert folder.read("weights.bin") == b"w" * 100
    assert folder.names() == ["a", "facts.json", "weights.bin"]


def test_workers_that_write_one_trunk_at_once_leave_one_file(folder: Folder) -> None:
    trunks = RunDir(folder.location).fold(7, 3).trunks
    assert trunks.location == RunDir(folder.location).trial(7).trunks.location
    with ThreadPoolExecutor(4) as several:
        (sha256,) = set(several.map(lambda _: write_trunk(trunks, b"w" * 999), range(8)))
    assert trunks.names() == [f"{sha256}.safetensors"]
    assert read_trunk(trunks, sha256, "weights") == b"w" * 999
    assert folder.names() == ["trunks"]


def test_folders_beside_it_are_listed(folder: Folder) -> None:
    folder.write("a/b/one", b"1")
    parent = folder.parent
    assert parent is not None
    parent.child("other").write("x/two", b"2")
    assert {"run", "other"} <= set(parent.names())
    assert (parent.names("run/a/b"), parent.names("other/x"), parent.names("gone/x")) == (["one"], ["two"], [])
    assert parent.read("other/x/two") == b"2"


def test_a_missing_folder_is_empty(folder: Folder) -> None:
    assert folder.names() == []
    assert not folder.exists("x")
    folder.delete("x")
    with pytest.raises(FileNotFoundError):
        folder.read("x")


def test_a_file_is_there_until_it_is_deleted(folder: Folder) -> None:
    folder.write("a/x", b"1")
    assert folder.exists("a")
    assert folder.exists("a/x")
    folder.write("y", b"2")
    folder.delete("y")
    assert not folder.exists("y")
    assert folder.names() == ["a"]


def test_a_child_is_the_folder_below(folder: Folder) -> None:
    child = folder.child("trials", "0007")
    child.write("x", b"1")
    assert folder.read("trials/0007/x") == b"1"
    assert child.names() == ["x"]
    assert child.path("x") == folder.path("trials/0007/x")
    assert RunDir(folder.location).trial_numbers() == [7]


def test_a_pickle_is_the_same_folder(folder: Folder) -> None:
    folder.write("x", b"1")
    again = pickle.loads(pickle.dumps(folder))
    assert again == folder
    assert again.read("x") == b"1"


def test_a_second_write_takes_the_firsts_place_and_leaves_nothing_else(folder: Folder) -> None:
    folder.write("x.json", b"a" * 1000)
    folder.write("x.json", b"b")
    assert folder.read("x.json") == b"b"
    folder.write_by("x.json", writes(b"c"))
    assert folder.read("x.json") == b"c"
    assert folder.names() == ["x.json"]


def test_a_reader_never_sees_half_a_file(folder: Folder) -> None:
    contents = [letter * 2_000_000 for letter in (b"a", b"b")]
    folder.write("x", contents[0])

    def write() -> None:
        for i in range(20):
            folder.write("x", contents[i % 2])

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(folder.read("x"))
    writer.join()
    assert all(content in contents for content in seen)


def test_a_writer_that_fails_leaves_the_old_file(folder: Folder) -> None:
    folder.write("x", b"whole")

    def fail(path: Path) -> None:
        path.write_bytes(b"ha")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        folder.write_by("x", fail)
    with pytest.raises(ValueError, match="JSON"):
        folder.write_json("x", {"x": float("nan")})  # no reader could read it
    assert folder.read("x") == b"whole"
    assert folder.names() == ["x"]


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe\x00", b"[1]]", b"{'a': 1}\n\n"])
def test_damaged_json_is_one_line_that_names_the_file(folder: Folder, content: bytes) -> None:
    folder.write("trial.json", content)
    with pytest.raises(RunError) as caught:
        folder.read_json("trial.json")
    assert str(caught.value).startswith(f"{folder.path('trial.json')} is damaged: ")
    assert "\n" not in str(caught.value)


def test_missing_json_is_one_line_that_names_the_file(folder: Folder) -> None:
    with pytest.raises(RunError) as caught:
        folder.read_json("run.json")
    assert str(caught.value) == f"{folder.path('run.json')} is missing"


def test_a_second_holder_is_refused(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(lock, "SETTLE_S", 0.05)
    console = Console(quiet=True)
    with held(folder, console):
        with pytest.raises(RunError, match="another command is working in") as caught, held(folder, console):
            pass
        assert folder.location in str(caught.value)
    with held(folder, console):  # what was held can be held again
        pass
