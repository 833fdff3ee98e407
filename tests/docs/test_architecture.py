"""docs/architecture.md: the files that it names exist, and its recipes do what they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.examples import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_files_that_it_names_exist() -> None:
    named = set(re.findall(r"`((?:medray|tests|docs)/[\w/.]+)`", PAGE))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.component
def test_its_recipes_add_a_source_a_backbone_a_metric_a_task_and_a_command(tmp_path: Path) -> None:
    for folder in ("medray", "search_spaces"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for recipe in blocks("diff"):
        done = subprocess.run(
            ["git", "apply", "-"], input=recipe, cwd=tmp_path, text=True, capture_output=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stderr}\n{recipe}"
    (space,), (code,) = blocks("yaml"), blocks("python")
    (tmp_path / "ramps.yaml").write_text(space)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
