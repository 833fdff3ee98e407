"""The search spaces travel in the wheel, and are found there; .ci/run installs it whole."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[1]


def test_the_wheel_carries_its_search_spaces_and_works_in_an_empty_folder(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        str(tmp_path / "dist"),
    ]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "medray/search_spaces/organs.yaml" in archive.namelist()
        assert not [
            name for name in archive.namelist() if name.startswith(("tests", "benchmarks", "search_spaces"))
        ]
        archive.extractall(tmp_path / "site")
    empty = tmp_path / "empty"
    empty.mkdir()
    code = (
        "import medray\nfrom medray.space.loading import load_space\nfrom medray.space.shipped import shipped_spaces\n"
        "print(medray.__file__, shipped_spaces(), load_space('organs').path, sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=empty, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, names, path = done.stdout.strip().split("|")
    assert file == str(tmp_path / "site/medray/__init__.py")
    assert names == "['bloodcells', 'chest', 'covid', 'glaucoma', 'organs', 'retinopathy', 'skin']"
    assert path == str(tmp_path / "site/medray/search_spaces/organs.yaml")
