"""`medray data`: what it prints and writes, and its exit status."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from medray.audit.data_command import data, evenly_spaced
from medray.data.cache import array_cache
from medray.data.cache.row_cache import RowCache
from tests.audit.audit_samples import blobs, encoded
from tests.conftest import write_npz


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data, [str(argument) for argument in arguments])


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Class folders below folders of splits; all images are different."""
    for number, image in enumerate(blobs(36)):
        folder = (
            tmp_path / "scans" / ("train", "val", "test")[number % 3] / ("benign", "malignant")[number // 3 % 2]
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02d}.png").write_bytes(encoded(image))
    return tmp_path / "scans"


def test_clean_images_pass(scans: Path) -> None:
    result = run("audit", f"folder:{scans}")
    assert result.exit_code == 0, result.output
    assert "36 images, no findings" in result.output
    assert "cropped or shifted by up to 5 %" in " ".join(result.output.split())


def test_an_image_in_two_splits_of_a_fold_folder_gives_status_1(tmp_path: Path) -> None:
    """Which split it should be in is not for us to guess, so there is nothing that could be listed."""
    for number, image in enumerate(blobs(24)):
        split, label, fold = ("Train", "Valid", "Test")[number % 3], "ab"[number // 3 % 2], f"Fold{number // 12}"
        folder = tmp_path / fold / split / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(encoded(image))
    assert run("audit", f"folder:{tmp_path}").exit_code == 0
    for number, name in ((0, "x"), (3, "y")):
        label = "ab"[number // 3]
        planted = tmp_path / "Fold0/Test" / label / f"{name}.png"
        planted.write_bytes((tmp_path / "Fold0/Train" / label / f"{number}.png").read_bytes())
    result = run("audit", f"folder:{tmp_path}")
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.strip().splitlines()
    assert (
        "leak: 2 images are in two splits of one fold: test and train of Fold0: 'Fold0/Test/a/x.png' and" in line
    )


def test_a_leak_gives_status_1_and_is_written(scans: Path, tmp_path: Path) -> None:
    image = np.asarray(Image.open(scans / "train" / "benign" / "00.png"))[..., None]
    (scans / "test" / "benign" / "copy.jpg").write_bytes(encoded(np.rot90(image), "jpeg", quality=60))
    result = run("audit", f"folder:{scans}", "--out", tmp_path / "new" / "audit")
    assert result.exit_code == 1, result.output
    assert "duplicates_across_splits" in result.output
    with (tmp_path / "new" / "audit" / "duplicates.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert {row["first_split"], row["second_split"]} == {"train", "test"}
    assert row["how"] == "near"
    written = json.loads((tmp_path / "new" / "audit" / "audit.json").read_text())
    assert written["findings"][0]["severity"] == "leak"


def test_warnings_alone_give_status_0(scans: Path) -> None:
    (scans / "train" / "benign" / "broken.png").write_bytes(b"nothing")
    result = run("audit", f"folder:{scans}")
    assert result.exit_code == 0, result.output
    assert "1 unreadable image: " in result.output


@pytest.mark.parametrize("command", ["audit", "profile"])
@pytest.mark.parametrize("source", ["folder:nowhere", "nothing", "csv:none.csv", "x.npz", "phantom:organ"])
def test_what_can_not_be_read_gives_status_2_and_one_line(command: str, source: str) -> None:
    result = run(command, source)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("medray: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_can_not_be_written_gives_status_2(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    result = run("profile", write_npz(tmp_path / "x.npz"), "--sheet", tmp_path / "taken" / "s.png")
    assert result.exit_code == 2
    assert "can't be written" in result.stderr


def test_profile_prints_text_or_json_and_writes_a_sheet(scans: Path, tmp_path: Path) -> None:
    (scans / "val" / "benign" / "wide.png").write_bytes(encoded(blobs(1, seed=3)[0][:30]))
    assert "37 images" in run("profile", f"folder:{scans}").output
    result = run("profile", f"folder:{scans}", "--json", "--sheet", tmp_path / "s.png")
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert {name: sum(counts) for name, counts in made["counts"].items()} == {"benign": 19, "malignant": 18}
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 8 * 128
        assert 2 * 128 < sheet.height < 4 * 128


def test_arrays_have_a_sheet_too(tmp_path: Path) -> None:
    source = write_npz(tmp_path / "x.npz", train=20)
    result = run("profile", source, "--sheet", tmp_path / "s.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "s.png").stat().st_size > 1000
    assert "train" in result.output


def test_a_sheet_of_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        (tmp_path / name / "x.png").write_bytes(b"nothing")
    result = run("profile", f"folder:{tmp_path}", "--sheet", tmp_path / "s.png")
    assert result.exit_code == 2
    assert "there is no image to draw" in result.stderr


def test_help_has_examples_and_a_wrong_option_names_the_right_ones() -> None:
    assert "medray data audit csv:cells/labels.csv --out audits/cells" in run("audit", "--help").output
    assert "medray data profile folder:scans" in run("profile", "--help").output
    wrong = run("audit", "phantom", "--outt", "x")
    assert wrong.exit_code == 2
    assert "did you mean '--out'?" in wrong.stderr


def test_an_unknown_command_is_told_in_one_line() -> None:
    result = run("audti", "phantom")
    assert result.exit_code == 2
    assert (
        result.stderr == "medray: unknown command 'audti' (did you mean 'audit'?); valid: audit, cache, profile\n"
    )


def test_images_of_a_sheet_are_spread_over_the_class() -> None:
    assert evenly_spaced(list(range(100)), 4) == [0, 33, 66, 99]
    assert evenly_spaced([5, 6], 4) == [5, 6]


def test_the_cache_lists_and_clears_features_beside_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path))
    for number, key in enumerate(("older", "newer")):
        rows = RowCache(key, 7, (3, number + 1))
        rows.fill(np.arange(7), lambda missing: iter([(missing, np.zeros((len(missing), 3, 1)))]))
        os.utime(tmp_path / "features" / f"{key}.npy", (number + 1e9, number + 1e9))
    (tmp_path / "features" / "damaged.npy").write_bytes(b"no array")
    with array_cache.new_array("images", (2, 4, 4, 1), "folder:films"):
        pass
    lines = run("cache", "--clear").stdout.splitlines()
    assert [next((w for w in ("films", "×2", "×1") if w in line), None) for line in lines if "×" in line] == [
        "films", "×2", "×1",
    ]  # fmt: skip
    assert all("features of a frozen backbone" in line for line in lines if "7×3" in line)
    assert lines[-1] == "deleted: 3"
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"damaged.npy"}
    again = run("cache").stdout.splitlines()
    assert len(again) == 2
    assert all(line.startswith("       0.0 MiB of 20,480 in") for line in again)
