"""The pages that are written by the code itself, as cog writes them: commands.md and checklists.md."""

import subprocess
import sys

import pytest

from tests.docs.examples import ROOT


@pytest.mark.parametrize("page", ["docs/commands.md", "docs/checklists.md"])
def test_a_page_that_is_written_by_code_is_up_to_date(page: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", page],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"run: uv run cog -r {page}"
