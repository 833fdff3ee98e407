"""The cache of decoded images: what a killed process left there, and an array that is larger than the cache."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from medray.audit.data_command import data
from medray.data.build import build_dataset
from medray.data.cache import array_cache
from medray.data.dataset import ImageDataset
from medray.space.preparation import Preparation
from tests.data.listing.folders.folder_trees import list_text

WRITER = """
import sys
from medray.data.cache import array_cache
with array_cache.new_array("k", (4, 500, 500, 1), "here"):
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def writer(cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process, and yield it while it writes an array."""
    command = [sys.executable, "-c", WRITER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def cache_output(*options: str) -> str:
    result = CliRunner().invoke(data, ["cache", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_a_killed_process_left_is_counted_and_deleted(cache: Path, writer: subprocess.Popen[str]) -> None:
    writer.kill()
    writer.wait()
    (partial,) = cache.iterdir()
    output = cache_output("--clear")
    assert "       1.0 MiB  left over from processes that were killed: 1\n       1.0 MiB of 20,480 in" in output
    assert output.endswith("deleted: 1\n")
    assert not partial.exists()


def test_what_a_process_still_writes_is_left_to_it(cache: Path, writer: subprocess.Popen[str]) -> None:
    output = cache_output("--clear")
    assert "left over" not in output
    assert output.endswith("deleted: 0\n")
    writer.communicate("")
    assert writer.returncode == 0
    assert array_cache.find("k") is not None
    assert {path.name for path in cache.iterdir()} == {"k.npy", "k.json"}
    assert array_cache.leftovers() == {}


def test_the_next_array_makes_room_of_what_was_left(cache: Path, writer: subprocess.Popen[str]) -> None:
    writer.kill()
    writer.wait()
    (cache / "lost.npy").write_bytes(bytes(100))  # killed before its facts were written
    (cache / ".nfs-of-others").write_bytes(bytes(100))
    with array_cache.new_array("other", (1, 2, 2, 1), "here"):
        pass
    assert {path.name for path in cache.iterdir()} == {"other.npy", "other.json", ".nfs-of-others"}


def images(root: Path) -> ImageDataset:
    for number in range(40):
        folder = root / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return build_dataset(list_text(f"folder:{root}"), Preparation())


def test_images_that_are_more_than_the_cache_may_hold_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [note for note in images(tmp_path / "set").notes if "MEDRAY_CACHE_GIB" in note]
    monkeypatch.setenv("MEDRAY_CACHE_GIB", "0.0001")
    made = images(tmp_path / "set")
    note = (
        "the decoded images alone take 0.000153 GiB, more than the 0.0001 of $MEDRAY_CACHE_GIB; "
        "they are kept, and nothing beside them"
    )
    assert note in made.notes
    assert len(made) == 40
