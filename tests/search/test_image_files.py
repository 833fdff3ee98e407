"""A study of image files in folders: searched, evaluated; a leak stops it unless it is allowed, and is told then."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from medray.ensemble.build_ensemble import EnsembleOptions, run_ensemble
from medray.errors import ConfigError, DataError
from medray.evaluate.print_evaluation import print_result
from medray.evaluate.run_evaluation import EvaluateOptions, run_evaluate
from medray.search.run_search import run_search
from medray.search.search_options import SearchOptions

pytestmark = pytest.mark.component

SPACE = """
name: blots
data: folder:nowhere
images: { image_size: [16, 20], aspect: pad, channels: 1, unreadable: drop }
splits: { val: 0.25 }
objective: { metric: accuracy }
budget: { trials: 2, max_epochs: 2, grace_epochs: 1, reduction_factor: 2, patience: null }
space:
  learning_rate: { log: [0.001, 0.01] }
fixed: { backbone: lenet5, batch_size: 8 }
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Folders Train and Test of two classes, images of several sizes, one of them broken."""
    rng = np.random.default_rng(0)
    for split, count in (("Train", 32), ("Test", 24)):
        for number in range(count):
            kind = ("Dark spot", "light")[number % 2]
            height, width = rng.integers(30, 60, 2)
            pixels = rng.integers(60, 200, (height, width), dtype=np.uint8)
            spot = pixels[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
            spot[...] = 0 if kind == "Dark spot" else 255
            path = tmp_path / "films" / split / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (tmp_path / "films" / "Train" / "light" / "broken.png").write_bytes(b"half a picture")
    (tmp_path / "blots.yaml").write_text(SPACE)
    return tmp_path


def search(study: Path, **more: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    given = {"space": str(study / "blots.yaml"), "data": f"folder:{study / 'films'}", "out": str(study / "run")}
    given["runner"] = "local"  # the same files and figures as with Ray
    run_search(SearchOptions(**{**given, **more}), console)  # type: ignore[arg-type]
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_folders_of_images_from_search_to_evaluation(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(study / "cache"))
    search(study)
    facts = (study / "run" / "data.json").read_text()
    assert '"aspect": "pad"' in facts
    assert "left out: 1 files that can't be read" in facts
    assert "val: 8 images drawn by class" in facts
    for path in (study / "cache").rglob("*.npy"):  # what is cached can go at any time
        path.unlink()
    console = Console(file=io.StringIO(), width=200)
    run_ensemble(EnsembleOptions(run=str(study / "run")), console)
    assert '"image_aspect": "pad"' in (study / "run" / "ensemble" / "manifest.json").read_text()
    result = run_evaluate(EvaluateOptions(run=str(study / "run")), console)
    print_result(result, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "24 test images" in printed
    assert "LEAK" not in printed


def test_a_table_names_the_calibration_split_and_an_id_that_is_not_used(study: Path) -> None:
    lines, splits = ["file;label;lesion_id;split"], ["Training", "dev", "Holdout", "calib"]
    for number in range(32):
        kind, split = ("Dark spot", "light")[number % 2], splits[number // 2 % 4]
        lines.append(f"/home/other/films/Train/{kind}/{number}.png;{kind};L{number // 2};{split}")
    (study / "films" / "t.csv").write_bytes("\r\n".join(lines).encode("utf-16"))
    printed = search(study, data=f"csv:{study / 'films' / 't.csv'}")
    assert "unused column 'lesion_id' looks like an id of several images (16 values in 32 rows)" in printed
    assert "32 paths of column 'file', not here as written, by their ends" in printed
    assert {split: len(positions) for split, positions in json.loads((study / "run" / "splits.json").read_text()).items()} == {
        "train": 8, "val": 8, "test": 8, "calibration": 8
    }  # fmt: skip


def test_a_leak_stops_the_search_and_is_told_where_it_is_allowed(study: Path) -> None:
    films = study / "films"
    Image.open(films / "Train" / "light" / "1.png").save(films / "Test" / "light" / "copy.tiff")
    with pytest.raises(
        DataError, match=r"leak: 2 images with duplicates in another split .*; --allow-leaks starts all"
    ):
        search(study)
    assert not (study / "run" / "run.json").exists()
    assert "leak, allowed: 2 images with duplicates in another split" in search(study, allow_leaks=True)
    console = Console(file=io.StringIO(), width=200)
    print_result(run_evaluate(EvaluateOptions(run=str(study / "run")), console), console)
    assert (
        "LEAK in the data, so these figures may be too good: 2 images with duplicates" in console.file.getvalue()
    )  # type: ignore[attr-defined]


def test_a_class_that_the_test_split_lacks_is_named_before_training(study: Path) -> None:
    shutil.rmtree(study / "films" / "Test" / "light")
    assert "split 'test' has no image of light: the evaluation will have no figures" in search(study)


def test_slips_are_one_line(study: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*/film"):
        run_search(
            SearchOptions(
                str(study / "blots.yaml"),
                data=f"folder:{study / 'film'}",
                out=str(study / "run"),
                runner="local",
            ),
            Console(file=io.StringIO()),
        )
    path = study / "blots.yaml"
    path.write_text(SPACE.replace("image_size", "image_sice"))
    with pytest.raises(
        ConfigError, match=r"blots.yaml: images.image_sice: unknown key .*did you mean 'image_size'"
    ):
        search(study)
